/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"
#include "ctl/relay_load.h"
#include "ctl/relay_migrate.h"
#include "ctl/relay_print.h"
#include "ctl/relay_stats.h"
#include "ctl/relay_target.h"
#include "ctl/relay_watch.h"
#include "lib/relay/relay_text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "Shows and changes the addresses that may relay because they logged in to POP or IMAP. A daemon that "
    "runs\nis asked; without one their file is opened.\n"
    "\n"
    "  list [MIN]      those that logged in at least MIN minutes ago (default 0); none that is dated in the\n"
    "                  future\n"
    "  dump            all, also those that are dated in the future\n"
    "  add ADDRESS     lets it relay from now on: an IPv4 or IPv6 address, or an IPv6 network of at least /48\n"
    "    --user U      with the user who logged in\n"
    "    --service S   and where (pop3, imap, ...)\n"
    "  remove ADDRESS  forgets it; exit status 1: it is not there\n"
    "  expire [MIN]    forgets those of \"list MIN\"; without MIN all, also those that are dated in the future\n"
    "  load            reads what dump prints from standard input: it replaces all. If a line is wrong, all that is\n"
    "                  wrong is told, nothing is changed, and the exit status is 1. A line that has nothing behind\n"
    "                  its timestamp, and whose address and timestamp did not change, keeps user and service.\n"
    "  migrate F T     copies all that has not expired from one back end (gdbm, redis) into the other; what is as\n"
    "                  young there stays\n"
    "  watch LOG       follows a log and learns from it who logs in: see \"relay watch --help\"\n"
    "  stats           how many there are, whose they are, and what the daemon has done with them since its\n"
    "                  start\n"
    "  check ADDRESS   exit status 0: it may relay now; 1: it may not; 75: that cannot be known\n";

struct relay {
    struct ctl *ctl;
    char **arguments; /* behind the word */
    int count;
    const char *user;
    const char *service;
};

/* ---- arguments ---- */

/* The optional MIN. False: it is none, which was said. */
static bool read_minutes(const struct relay *relay, unsigned *minutes_out)
{
    const char *text = relay->count > 0 ? relay->arguments[0] : "0";
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);

    *minutes_out = (unsigned)value;
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value <= UINT_MAX) {
        return true;
    }
    (void)ctl_usage(relay->ctl, "\"%s\" is no number of minutes", text);
    return false;
}

/* The ADDRESS. False: it is none, which was said. */
static bool read_address(const struct relay *relay, struct netaddr *addr_out)
{
    const char *why;

    if (relay_entry_parse_address(relay->arguments[0], addr_out, &why)) {
        return true;
    }
    (void)ctl_usage(relay->ctl, "\"%s\": %s", relay->arguments[0], why);
    return false;
}

/* ---- what can be asked ---- */

/* What `list` selects. */
struct selection {
    int64_t now;
    unsigned minutes;
};

static bool is_selected(void *ctx, const struct relay_entry *entry)
{
    const struct selection *selection = ctx;

    return entry->login_at <= selection->now &&
           relay_entry_is_older(entry, selection->now, selection->minutes);
}

/* Prints what is selected; NULL: all. */
static int show(const struct relay *relay, struct selection *selection)
{
    struct relay_target *target = relay_target_open(relay->ctl);

    if (target == NULL) {
        return CTL_TEMPFAIL;
    }
    struct relay_list list;
    struct strbuf why;

    relay_list_init(&list);
    strbuf_init(&why);
    enum status status = relay_target_collect(target, &list, &why);

    relay_target_close(
        &target); /* a daemon may wait for the file, and who reads our output may be slow */
    if (status == STATUS_OK) {
        relay_list_sort(&list);
        relay_print_list(relay->ctl, &list, selection != NULL ? is_selected : NULL, selection);
    } else if (why.len > 0) {
        ctl_complain(relay->ctl, "%s", why.data);
    }
    strbuf_fini(&why);
    relay_list_fini(&list);
    return relay_print_code(status);
}

static int run_list(const struct relay *relay)
{
    struct selection selection = {.now = time(NULL)};

    return read_minutes(relay, &selection.minutes) ? show(relay, &selection) : CTL_USAGE;
}

static int run_dump(const struct relay *relay)
{
    return show(relay, NULL);
}

static int print_check(const struct relay *relay, enum status status,
                       const struct relay_found *found, size_t sessions, const char *why)
{
    const struct relay_entry entry = {found->addr, found->login_at, found->user, found->service};
    int code = relay_print_code(status);

    if (relay->ctl->json) {
        json_t *object = json_pack("{ss}", "address", relay->arguments[0]);

        if (status == STATUS_OK || status == STATUS_NOTFOUND) {
            json_object_set_new(object, "permitted", json_boolean(status == STATUS_OK));
        }
        if (status == STATUS_OK) {
            json_object_set_new(object, "entry", relay_print_json(&entry));
            json_object_set_new(object, "sessions", json_integer((json_int_t)sessions));
        } else {
            json_object_set_new(object, "reason",
                                ctl_json_text(*why != '\0' ? why : RELAY_PRINT_NO_ANSWER));
        }
        return ctl_print_json(relay->ctl, object, NULL, code);
    }
    if (status == STATUS_OK) {
        struct strbuf line;

        strbuf_init(&line);
        relay_text_write_line(&entry, RELAY_TEXT_ALL, &line);
        printf("%s may relay: %s", relay->arguments[0], line.data);
        if (sessions > 0) {
            printf("open sessions: %zu; the window begins when the last of them ends\n", sessions);
        }
        strbuf_fini(&line);
    } else if (status == STATUS_NOTFOUND) {
        printf("%s may not relay: %s\n", relay->arguments[0], why);
    } else if (*why != '\0') {
        ctl_complain(relay->ctl, "%s: %s", relay->arguments[0], why);
    }
    return code;
}

static int run_check(const struct relay *relay)
{
    struct netaddr client;

    if (!read_address(relay, &client)) {
        return CTL_USAGE;
    }
    if (client.bits != netaddr_width(client.family)) {
        return ctl_usage(relay->ctl, "\"%s\" is a network; a client has one address",
                         relay->arguments[0]);
    }
    struct relay_target *target = relay_target_open(relay->ctl);

    if (target == NULL) {
        return CTL_TEMPFAIL;
    }
    struct relay_found found = {.login_at = 0};
    struct strbuf why;
    size_t sessions;

    strbuf_init(&why);
    enum status status = relay_target_check(target, &client, &found, &sessions, &why);
    int code = print_check(relay, status, &found, sessions, why.data);

    strbuf_fini(&why);
    relay_target_close(&target);
    return code;
}

/* ---- what can be changed ---- */

static int change(const struct relay *relay, struct relay_change *what)
{
    struct relay_target *target = relay_target_open(relay->ctl);

    if (target == NULL) {
        return CTL_TEMPFAIL;
    }
    struct strbuf why;
    size_t count = 0;

    strbuf_init(&why);
    enum status status = relay_target_change(target, what, &why, &count);

    if (status == STATUS_NOTFOUND) {
        strbuf_reset(&why);
        strbuf_append(&why, "there is no such entry");
    }
    int code = relay_print_result(relay->ctl,
                                  what->kind == RELAY_EXPIRE ? "expire" : relay->arguments[0],
                                  status, why.data, count, NULL);

    strbuf_fini(&why);
    relay_target_close(&target);
    return code;
}

static int run_add(const struct relay *relay)
{
    struct relay_change what = {
        .kind = RELAY_ADD,
        .entry = {.login_at = time(NULL),
                  .user = relay->user != NULL ? relay->user : "",
                  .service = relay->service != NULL ? relay->service : ""},
    };

    if (!read_address(relay, &what.entry.addr)) {
        return CTL_USAGE;
    }
    if (strlen(what.entry.user) > RELAY_USER_MAX ||
        strlen(what.entry.service) > RELAY_SERVICE_MAX) {
        return ctl_usage(relay->ctl, "a user may have %u bytes, a service %u", RELAY_USER_MAX,
                         RELAY_SERVICE_MAX);
    }
    return change(relay, &what);
}

static int run_remove(const struct relay *relay)
{
    struct relay_change what = {.kind = RELAY_REMOVE, .entry = {.user = "", .service = ""}};

    return read_address(relay, &what.entry.addr) ? change(relay, &what) : CTL_USAGE;
}

static int run_expire(const struct relay *relay)
{
    struct relay_change what = {
        .kind = RELAY_EXPIRE,
        .entry = {.user = "", .service = ""},
        .all = relay->count == 0,
    };

    return read_minutes(relay, &what.minutes) ? change(relay, &what) : CTL_USAGE;
}

static int run_load(const struct relay *relay)
{
    return relay_load_run(relay->ctl);
}

static int run_stats(const struct relay *relay)
{
    return relay_stats_run(relay->ctl);
}

static int run_migrate(const struct relay *relay)
{
    return relay_migrate_run(relay->ctl, relay->arguments[0], relay->arguments[1]);
}

/* ---- the verb ---- */

static const struct word {
    const char *name;
    int least; /* arguments */
    int most;
    int (*run)(const struct relay *relay);
} words[] = {
    {"list", 0, 1, run_list},     {"dump", 0, 0, run_dump},       {"add", 1, 1, run_add},
    {"remove", 1, 1, run_remove}, {"expire", 0, 1, run_expire},   {"load", 0, 0, run_load},
    {"check", 1, 1, run_check},   {"migrate", 2, 2, run_migrate}, {"stats", 0, 0, run_stats},
};

static int run_word(const struct relay *relay, const char *name)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, name) != 0) {
            continue;
        }
        if (relay->count < words[i].least) {
            return ctl_usage(relay->ctl, "%s what?", name);
        }
        if (relay->count > words[i].most) {
            return ctl_usage(relay->ctl, "too many arguments behind \"%s\"", name);
        }
        if (words[i].run != run_add && (relay->user != NULL || relay->service != NULL)) {
            return ctl_usage(relay->ctl, "--user and --service belong to \"add\"");
        }
        return words[i].run(relay);
    }
    return ctl_usage(relay->ctl, "there is no \"%s\"", name);
}

/* "-1" is meant as a number; getopt_long() would call it an option. NULL: there is none. */
static const char *negative_number(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--user") == 0 || strcmp(argv[i], "--service") == 0) {
            i++; /* a text of any kind */
        } else if (argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9') {
            return argv[i];
        }
    }
    return NULL;
}

int cmd_relay(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_LONG_OPTIONS,
                                            {"user", required_argument, NULL, 'u'},
                                            {"service", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    struct relay relay = {.ctl = ctl};
    const char *negative = negative_number(argc, argv);
    int option;

    if (argc > 1 && strcmp(argv[1], "watch") == 0) {
        return relay_watch_run(ctl, argc - 1, argv + 1); /* it has options of its own */
    }
    if (negative != NULL) {
        return ctl_usage(ctl, "\"%s\" is no number: there are none below 0 here", negative);
    }
    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (option == 'u') {
            relay.user = optarg;
        } else if (option == 's') {
            relay.service = optarg;
        } else if (!ctl_option(ctl, option, optarg)) {
            return option == 'h' ? ctl_help(ctl, help) : ctl_usage(ctl, "wrong option");
        }
    }
    if (optind == argc) {
        return ctl_usage(ctl, "what is to be done?");
    }
    relay.arguments = argv + optind + 1;
    relay.count = argc - optind - 1;
    return run_word(&relay, argv[optind]);
}
