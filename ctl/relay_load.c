/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_load.h"

#include "ctl/relay_print.h"
#include "ctl/relay_target.h"
#include "lib/policy/config.h"
#include "lib/relay/relay_text.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many entries as postern.conf allows. The daemon knows its own limit, whatever is wrong with the file by now. */
static size_t find_limit(const struct ctl *ctl)
{
    struct diag diag;
    size_t limit = RELAY_LIST_MAX;

    diag_init(&diag, NULL, NULL);
    struct config *config = config_load(ctl->config_path, &diag);

    if (config != NULL) {
        limit = config->relay_store.terms.max_entries;
    }
    config_free(&config);
    return limit;
}

/*
 * A file that is empty was emptied by somebody. A pipe or device from which nothing comes is rather a command that failed, and
 * must not cost everybody the right to relay.
 */
static bool is_meant_to_be_empty(void)
{
    struct stat input;

    return fstat(STDIN_FILENO, &input) == 0 && S_ISREG(input.st_mode);
}

static enum status read_input(const struct ctl *ctl, struct relay_list *list,
                              struct ctl_problems *problems, struct strbuf *why)
{
    enum status status = relay_text_read(STDIN_FILENO, "-", find_limit(ctl), &problems->diag, list);

    if (status != STATUS_OK) {
        strbuf_append(why, "not loaded; nothing was changed");
    } else if (list->count == 0 && !is_meant_to_be_empty()) {
        strbuf_append(why,
                      "nothing came from standard input; nothing was changed (\"expire\" removes "
                      "all, and so does an empty file)");
        status = STATUS_INVALID;
    }
    return status;
}

int relay_load_run(struct ctl *ctl)
{
    struct ctl_problems problems;
    struct relay_list list;
    struct strbuf why;
    size_t count = 0;

    ctl_problems_init(&problems, ctl);
    relay_list_init(&list);
    strbuf_init(&why);
    enum status status = read_input(ctl, &list, &problems, &why);
    struct relay_target *target = status == STATUS_OK ? relay_target_open(ctl) : NULL;
    int code = CTL_TEMPFAIL; /* nobody could be asked, which was said */

    if (target != NULL) {
        status = relay_target_load(target, &list, &why, &count);
    }
    if (target != NULL || status != STATUS_OK) {
        code = relay_print_result(ctl, "relayers", status, why.data, count, &problems);
    }
    if (code == CTL_DONE && !ctl->json && !ctl->old_output) {
        printf("relayers: %zu %s loaded\n", count, count == 1 ? "entry" : "entries");
    }
    relay_target_close(&target);
    strbuf_fini(&why);
    relay_list_fini(&list);
    ctl_problems_fini(&problems);
    return code;
}
