/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/control_client.h"

#include <stdio.h>

static const char help[] =
    "Shows what the daemon counted since it started: sessions, messages, and what was decided at which "
    "stage.\nExit status 75 if it does not answer.\n";

/* The columns are those of the first stage: the daemon has the same for all. */
static void print_verdicts(json_t *stages)
{
    const char *stage;
    json_t *kinds;
    bool head = true;

    json_object_foreach(stages, stage, kinds)
    {
        const char *kind;
        json_t *count;

        if (head) {
            printf("\n%-10s", "");
            json_object_foreach(kinds, kind, count)
            {
                printf("%14s", kind);
            }
            putchar('\n');
            head = false;
        }
        printf("%-10s", stage);
        json_object_foreach(kinds, kind, count)
        {
            printf("%14lld", (long long)json_integer_value(count));
        }
        putchar('\n');
    }
}

static void print(const json_t *answer)
{
    json_t *counters = json_object_get(answer, "counters");
    const char *name;
    json_t *value;

    json_object_foreach(counters, name, value)
    {
        if (json_is_integer(value)) {
            printf("%-20s%12lld\n", name, (long long)json_integer_value(value));
        }
    }
    print_verdicts(json_object_get(counters, "verdicts"));
}

int cmd_stats(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (!control_client_arguments(ctl, argc, argv, help, &code)) {
        return code;
    }
    json_t *answer = control_client_ask(ctl, "stats");

    if (answer == NULL) {
        return CTL_TEMPFAIL;
    }
    if (ctl->json) {
        return ctl_print_json(ctl, answer, NULL, CTL_DONE);
    }
    print(answer);
    json_decref(answer);
    return CTL_DONE;
}
