/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"

#include "lib/policy/config.h"
#include "lib/policy/pop_check.h"
#include "lib/policy/rule_check.h"
#include "lib/policy/start_check.h"

#include <stdio.h>
#include <unistd.h>

#define SENDMAIL_CF "/etc/mail/sendmail.cf"

static const char help[] =
    "Reads postern.conf and all files that it names, and reports every error and warning with its\n"
    "file and line; changes nothing. Maps of postern in " SENDMAIL_CF " are looked at, too.\n"
    "Exit status 1 if there is an error, 0 if there are warnings at most.\n";

static int report(const struct ctl *ctl, const struct ctl_problems *problems)
{
    const struct diag *diag = &problems->diag;
    int code = diag->errors > 0 ? CTL_NO : CTL_DONE;

    if (!ctl->json) {
        printf("%s: %zu error%s, %zu warning%s\n", ctl->config_path, diag->errors,
               diag->errors == 1 ? "" : "s", diag->warnings, diag->warnings == 1 ? "" : "s");
        return code;
    }
    return ctl_print_json(ctl,
                          json_pack("{s:I, s:I}", "errors", (json_int_t)diag->errors, "warnings",
                                    (json_int_t)diag->warnings),
                          problems, code);
}

int cmd_check(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    struct ctl_problems problems;
    int option;

    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (!ctl_option(ctl, option, optarg)) {
            return option == 'h' ? ctl_help(ctl, help) : ctl_usage(ctl, "unknown option");
        }
    }
    if (optind < argc) {
        return ctl_usage(ctl, "check takes no arguments");
    }
    ctl_problems_init(&problems, ctl);

    struct config *config = config_load(ctl->config_path, &problems.diag);

    if (config != NULL) {
        start_check(config, geteuid() == 0, &problems.diag);
        rule_check_all(config, &problems.diag);
        pop_check_sendmail(config, SENDMAIL_CF, &problems.diag);
        config_free(&config);
    }
    int code = report(ctl, &problems);

    ctl_problems_fini(&problems);
    return code;
}
