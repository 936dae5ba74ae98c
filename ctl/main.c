/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"

#include "lib/base/xalloc.h"
#include "lib/policy/config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAY_ARGUMENTS                                                                           \
    "list [MIN] | dump | add ADDRESS [--user U] [--service S] | remove ADDRESS | expire [MIN] | " \
    "load | migrate FROM TO | stats | check ADDRESS | watch LOG"

/* One row for each verb. */
static const struct verb {
    const char *name;
    int (*run)(struct ctl *ctl, int argc, char **argv);
    const char *usage; /* its arguments */
    const char *purpose;
} verbs[] = {
    {"check", cmd_check, "", "reports every error and warning in the configuration and rule files"},
    {"makemap", cmd_makemap, "[--force] [NAME... | NAME -]", "compiles the text maps that changed"},
    {"query", cmd_query, "NAME KEY", "looks up one key in one table"},
    {"explain", cmd_explain, "--client IP [OPTION...] [--from ADDRESS] [--rcpt ADDRESS...]",
     "shows how one SMTP session is decided, and by which rule"},
    {"relay", cmd_relay, RELAY_ARGUMENTS,
     "shows and changes which addresses may relay because they logged in to POP or IMAP"},
    {"reload", cmd_reload, "", "has the daemon read its configuration and rules again"},
    {"status", cmd_status, "", "shows how the daemon is"},
    {"stats", cmd_stats, "", "shows what the daemon counted"},
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* Names under which older systems know a verb. */
static const struct alias {
    const char *name;
    const char *const words[3]; /* what it stands for */
    const char *usage;          /* its arguments */
    bool old_output;
} aliases[] = {
    {"vnewspammers", {"makemap", "spammers"}, "[--force]", false},
    {"vsmtprelay", {"relay"}, RELAY_ARGUMENTS, true},
};

#define ALIASES (sizeof(aliases) / sizeof(aliases[0]))

static void print_usage(FILE *stream, const char *program)
{
    fprintf(stream, "usage: %s [-c FILE] [--json] VERB [ARGUMENT...]\n\n", program);
    for (size_t i = 0; i < VERBS; i++) {
        fprintf(stream, "  %-8s  %s\n            %s %s %s\n", verbs[i].name, verbs[i].purpose,
                program, verbs[i].name, verbs[i].usage);
    }
    fprintf(stream,
            "\n"
            "  -c, --config FILE  another postern.conf than %s (also: POSTERN_CONF)\n"
            "  --json             output for programs\n"
            "  -h, --help         this text; behind a verb, what the verb does\n"
            "  -V, --version      the version\n"
            "\n"
            "Exit status: 0 done; 1 the answer is no (not found, not valid); 2 wrong usage;\n"
            "75 temporary failure.\n",
            POSTERN_SYSCONFDIR "/postern.conf");
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int run_verb(struct ctl *ctl, int argc, char **argv)
{
    const struct verb *verb = find_verb(argv[0]);

    if (verb == NULL) {
        ctl_complain(ctl, "there is no verb \"%s\"; see %s --help", argv[0], ctl->program);
        return CTL_USAGE;
    }
    ctl->verb = verb->name;
    ctl->usage = ctl->alias != NULL ? ctl->alias : verb->usage;
    optind = 0; /* getopt_long begins anew, with another option string */

    int code = verb->run(ctl, argc, argv);

    /* What was printed must have arrived: a full disk behind a redirection is no success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_complain(ctl, "standard output: %s", strerror(errno));
        return CTL_TEMPFAIL;
    }
    return code;
}

/* Runs the verb that an alias stands for, with the arguments behind it. */
static int run_alias(struct ctl *ctl, const struct alias *alias, int argc, char **argv)
{
    char *copies[3] = {NULL}; /* getopt_long() may reorder `all` */
    size_t words = 0;
    char **all = xcalloc((size_t)argc + 4, sizeof(*all));

    ctl->alias = alias->usage;
    ctl->old_output = alias->old_output;
    for (; alias->words[words] != NULL; words++) {
        all[words] = copies[words] = xstrdup(alias->words[words]);
    }
    memcpy(all + words, argv + 1, (size_t)(argc - 1) * sizeof(*all));

    int code = run_verb(ctl, (int)words + argc - 1, all);

    for (size_t i = 0; i < words; i++) {
        free(copies[i]);
    }
    free(all);
    return code;
}

/* An installation may put a prefix before all names of programs. */
static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static int run_posternctl(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {
        CTL_LONG_OPTIONS, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    int option;

    /* "+": what stands behind the verb is the verb's. */
    while ((option = getopt_long(argc, argv, "+V" CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (ctl_option(ctl, option, optarg)) {
            continue;
        }
        switch (option) {
        case 'h':
            print_usage(stdout, ctl->program);
            return CTL_DONE;
        case 'V':
            puts("posternctl " PACKAGE_VERSION);
            return CTL_DONE;
        default:
            print_usage(stderr, ctl->program);
            return CTL_USAGE;
        }
    }
    if (optind == argc) {
        print_usage(stderr, ctl->program);
        return CTL_USAGE;
    }
    return run_verb(ctl, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    struct ctl ctl = {.config_path = config_default_path()};

    if (argc < 1) {
        return CTL_USAGE;
    }
    ctl.program = slash == NULL ? argv[0] : slash + 1;
    /* A file over the limit is then an error of write(), which is reported. */
    (void)signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < ALIASES; i++) {
        if (ends_with(ctl.program, aliases[i].name)) {
            return run_alias(&ctl, &aliases[i], argc, argv);
        }
    }
    return run_posternctl(&ctl, argc, argv);
}
