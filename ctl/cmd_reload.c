/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/control_client.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "Has the daemon read postern.conf and all that it names again. Any error keeps the rules that are "
    "in\nforce: it is printed, and the exit status is 1; it is 75 if the daemon does not answer.\n";

static void print_item(const json_t *item)
{
    const char *hint = control_client_text(item, "hint");
    const struct diag_item shown = {
        .level = strcmp(control_client_text(item, "level"), "error") == 0 ? DIAG_ERROR
                                                                          : DIAG_WARNING,
        .file = control_client_text(item, "file"),
        .line = (unsigned)control_client_number(item, "line"),
        .text = control_client_text(item, "text"),
        .hint = *hint != '\0' ? hint : NULL,
    };

    diag_to_stream(stderr, &shown);
}

static void print(const struct ctl *ctl, const json_t *answer, bool done)
{
    size_t index;
    json_t *item;

    json_array_foreach(json_object_get(answer, "items"), index, item)
    {
        print_item(item);
    }
    if (done) {
        puts("reloaded");
    } else {
        ctl_complain(ctl, "reload refused: the daemon goes on with the rules of before");
    }
}

int cmd_reload(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (!control_client_arguments(ctl, argc, argv, help, &code)) {
        return code;
    }
    json_t *answer = control_client_ask(ctl, "reload");

    if (answer == NULL) {
        return CTL_TEMPFAIL;
    }
    bool done = json_is_true(json_object_get(answer, "reloaded"));

    code = done ? CTL_DONE : CTL_NO;
    if (ctl->json) {
        return ctl_print_json(ctl, answer, NULL, code);
    }
    print(ctl, answer, done);
    json_decref(answer);
    return code;
}
