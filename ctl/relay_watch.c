/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_watch.h"

#include "ctl/watch_loop.h"
#include "ctl/watch_test.h"
#include "lib/base/xalloc.h"
#include "lib/policy/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CATCH_UP_SECONDS 300
#define CATCH_UP_MAX 86400

static const char help[] =
    "Follows a log, or standard input if it is \"-\", and tells the daemon who logs in to POP or IMAP, and who logs\n"
    "out again. Runs until it gets SIGTERM, or standard input ends; SIGHUP has it read its patterns again.\n"
    "\n"
    "  --patterns FILE     what the lines mean, instead of " POSTERN_SYSCONFDIR "/login-patterns\n"
    "  --state FILE        keeps there up to where the log was read, to go on there after a restart, and in FILE.sessions\n"
    "                      which sessions are open; of standard input these alone\n"
    "  --catch-up SECONDS  lines that may be older than so many seconds are left out (default 300): a login is granted\n"
    "                      as of when it is told. That is so after a restart, and when the daemon was away\n"
    "  --from-start        begins with the first line of the log as it is, however old it is\n"
    "  --socket PATH       the daemon's socket, instead of popauth_socket of postern.conf\n"
    "  --test FILE         shows what would be learned from FILE (or \"-\"), and tells nobody. Exit status 0: some logins\n"
    "                      or logouts; 1: none, or the patterns are wrong; 75: FILE cannot be read\n";

enum option_letter { PATTERNS = 256, STATE, CATCH_UP, FROM_START, SOCKET, TEST };

struct arguments {
    struct watch_options options;
    const char *test; /* NULL: this is none */
};

static bool read_seconds(const char *text, int64_t *seconds_out)
{
    char *end;

    errno = 0;
    *seconds_out = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 &&
           *seconds_out <= CATCH_UP_MAX;
}

/* CTL_DONE: they are right. */
static int read_option(struct ctl *ctl, int option, struct arguments *arguments)
{
    switch (option) {
    case PATTERNS:
        arguments->options.patterns = optarg;
        return CTL_DONE;
    case STATE:
        arguments->options.state = optarg;
        return CTL_DONE;
    case CATCH_UP:
        return read_seconds(optarg, &arguments->options.catch_up_seconds)
                   ? CTL_DONE
                   : ctl_usage(ctl, "\"%s\" is no number of seconds up to %d", optarg,
                               CATCH_UP_MAX);
    case FROM_START:
        arguments->options.from_start = true;
        return CTL_DONE;
    case SOCKET:
        arguments->options.socket = optarg;
        return CTL_DONE;
    case TEST:
        arguments->test = optarg;
        return CTL_DONE;
    default:
        return ctl_usage(ctl, "wrong option");
    }
}

/* The daemon's socket, as the configuration has it, which may be one that this user cannot read. The caller frees it. */
static char *find_socket(const struct ctl *ctl)
{
    struct diag diag;

    diag_init(&diag, NULL, NULL);
    struct config *config = config_load(ctl->config_path, &diag);
    char *path = xstrdup(config != NULL ? config->popauth_socket.path
                                        : POSTERN_RUNSTATEDIR "/popauth.sock");

    if (config == NULL) {
        ctl_complain(ctl, "%s cannot be read, or is wrong: taking the socket %s", ctl->config_path,
                     path);
    }
    config_free(&config);
    return path;
}

static int watch(struct ctl *ctl, struct watch_options *options)
{
    char *socket = options->socket == NULL ? find_socket(ctl) : xstrdup(options->socket);
    struct logger *logger = log_new(LOG_TARGET_STDERR, "posternctl", "mail", LOG_LEVEL_INFO);
    int code = CTL_NO;

    options->socket = socket;
    if (*socket == '\0') {
        ctl_complain(ctl, "%s: popauth_socket is off: nobody can be told", ctl->config_path);
    } else if (watch_loop_run(options, logger)) {
        code = CTL_DONE;
    }
    log_free(&logger);
    free(socket);
    return code;
}

int relay_watch_run(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {CTL_LONG_OPTIONS,
                                            {"patterns", required_argument, NULL, PATTERNS},
                                            {"state", required_argument, NULL, STATE},
                                            {"catch-up", required_argument, NULL, CATCH_UP},
                                            {"from-start", no_argument, NULL, FROM_START},
                                            {"socket", required_argument, NULL, SOCKET},
                                            {"test", required_argument, NULL, TEST},
                                            {NULL, 0, NULL, 0}};
    struct arguments arguments = {.options = {.patterns = POSTERN_SYSCONFDIR "/login-patterns",
                                              .catch_up_seconds = CATCH_UP_SECONDS}};
    int option;
    int code;

    ctl->usage = "watch [--patterns FILE] [--state FILE] [--catch-up SECONDS] [--from-start] "
                 "[--socket PATH] LOG|- | --test FILE";
    optind = 0;
    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (ctl_option(ctl, option, optarg)) {
            continue;
        }
        if (option == 'h') {
            return ctl_help(ctl, help);
        }
        code = read_option(ctl, option, &arguments);
        if (code != CTL_DONE) {
            return code;
        }
    }
    int count = argc - optind;

    if (arguments.test != NULL) {
        return count > 0 ? ctl_usage(ctl, "--test has its file: there is no other log")
                         : watch_test_run(ctl, arguments.test, arguments.options.patterns);
    }
    if (count != 1) {
        return ctl_usage(ctl, count == 0 ? "watch which log?" : "one log at a time");
    }
    arguments.options.log = argv[optind];
    return watch(ctl, &arguments.options);
}
