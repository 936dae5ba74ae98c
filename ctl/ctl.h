/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ctl - what the verbs of posternctl have in common.
 *
 * Each verb is one function in ctl/cmd_VERB.c and one row in the table of ctl/main.c.
 */
#ifndef POSTERN_CTL_CTL_H
#define POSTERN_CTL_CTL_H

#include "lib/base/diag.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

/* How posternctl ends. */
enum ctl_exit {
    CTL_DONE = 0,
    CTL_NO = 1,        /* the answer is no: not found, not valid */
    CTL_USAGE = 2,     /* called in a wrong way */
    CTL_TEMPFAIL = 75, /* could not be done now (EX_TEMPFAIL) */
};

struct ctl {
    const char *program; /* "posternctl" */
    const char *verb;
    const char *usage;       /* of the verb: its arguments */
    const char *config_path; /* -c FILE; config_default_path() if it is not given */
    bool json;
    bool old_output; /* called by a name of older systems: print what their program printed */
    const char
        *alias; /* the arguments of a program that is one verb under another name; else NULL */
};

/*
 * Options that may stand before the verb and behind it: for the option string and the struct option table of each verb.
 * An option for which ctl_option() is true needs nothing more; for 'h' the verb returns ctl_help(), for '?' ctl_usage().
 */
#define CTL_SHORT_OPTIONS "c:h"
#define CTL_LONG_OPTIONS                                                        \
    {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'J'}, \
    {                                                                           \
        "help", no_argument, NULL, 'h'                                          \
    }

bool ctl_option(struct ctl *ctl, int option, const char *argument);

/* Prints the usage line of the verb and `text` on standard output; returns CTL_DONE. */
int ctl_help(const struct ctl *ctl, const char *text);

/* Says on standard error what is wrong with the arguments, and where to read more; returns CTL_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string of any bytes: those over 127 that are not UTF-8 become \xNN. */
json_t *ctl_json_text(const char *text);

/* One line on standard error, behind the program's name. */
void ctl_complain(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Where errors and warnings about files go: to standard error as `file:line: error: ...`; with --json into an array of
 * {"level", "file", "line", "text", "hint"} instead, for ctl_print_json(). `line` and `hint` are left out where there are none.
 */
struct ctl_problems {
    struct diag diag; /* give this one to the reader of the file */
    json_t *list;     /* NULL without --json */
};

void ctl_problems_init(struct ctl_problems *problems, const struct ctl *ctl);
void ctl_problems_fini(struct ctl_problems *problems);

/*
 * Adds "version": 1 to an object, and the problems as "items", "errors" and "warnings" (NULL: none), prints it and releases it. Returns `code`, or
 * CTL_TEMPFAIL if standard output cannot be written.
 */
int ctl_print_json(const struct ctl *ctl, json_t *object, const struct ctl_problems *problems,
                   int code);

/* The verbs. argv[0] is the verb's name; the result is an enum ctl_exit. */
int cmd_check(struct ctl *ctl, int argc, char **argv);
int cmd_explain(struct ctl *ctl, int argc, char **argv);
int cmd_makemap(struct ctl *ctl, int argc, char **argv);
int cmd_query(struct ctl *ctl, int argc, char **argv);
int cmd_relay(struct ctl *ctl, int argc, char **argv);
int cmd_reload(struct ctl *ctl, int argc, char **argv);
int cmd_stats(struct ctl *ctl, int argc, char **argv);
int cmd_status(struct ctl *ctl, int argc, char **argv);

#endif
