/* SPDX-License-Identifier: GPL-3.0-or-later */
/* milterload: plays the MTA to a mail filter, as fast as it answers, and measures. README.md tells more. */
#include "tests/bench/load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage_text[] =
    "usage: milterload --socket SPEC [options]\n"
    "  --socket SPEC          unix:PATH, inet:PORT@HOST or inet6:PORT@HOST\n"
    "  --mta sendmail|postfix whose manners to use (sendmail)\n"
    "  --connections N        at once (20)         --session-messages N  messages in one session (3)\n"
    "  --messages N           to measure (10000)   --seconds S           or: for so long\n"
    "  --warmup N             messages before that (0)\n"
    "  --recipients N         of a message (2)     --headers N           of a message (12)\n"
    "  --header-file FILE     headers of messages as they are in mail, an empty line behind each: one of them by chance\n"
    "  --body BYTES           of a message (2000)\n"
    "  --ramp-ms MS           between the openings of the first connections (1)\n"
    "  --rate N               messages a second, all in all (as fast as answers come)\n"
    "  --think-ms MS          before each command of the envelope (0)\n"
    "  --timeout S            for each answer (30)\n"
    "  --seed N               what is invented depends on it alone (1)\n"
    "  --hit-share P          0..1: share of clients, senders, recipients taken from these (0.2)\n"
    "  --client-keys FILE --sender-keys FILE --rcpt-keys FILE\n"
    "                         lines VALUE [TAB EXPECTED ANSWER]\n"
    "  --miss-expect WORD     the answer all others must get, such as \"continue\" (any)\n"
    "  --continue-only        any answer but CONTINUE is an error\n"
    "  --local-domain NAME    of the recipients (local.example)\n"
    "  --pid PID              the filter's, for its CPU time and memory\n"
    "  --json                 output for programs\n"
    "Exit status: 0 done, 1 the filter answered wrongly or not at all, 2 wrong usage.\n";

enum {
    OPT_SOCKET = 256,
    OPT_MTA,
    OPT_CONNECTIONS,
    OPT_SESSION_MESSAGES,
    OPT_MESSAGES,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_RECIPIENTS,
    OPT_HEADERS,
    OPT_HEADER_FILE,
    OPT_BODY,
    OPT_RAMP,
    OPT_RATE,
    OPT_THINK,
    OPT_TIMEOUT,
    OPT_SEED,
    OPT_HIT_SHARE,
    OPT_CLIENT_KEYS,
    OPT_SENDER_KEYS,
    OPT_RCPT_KEYS,
    OPT_MISS_EXPECT,
    OPT_CONTINUE_ONLY,
    OPT_LOCAL_DOMAIN,
    OPT_PID,
    OPT_JSON,
    OPT_HELP
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"mta", required_argument, NULL, OPT_MTA},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"session-messages", required_argument, NULL, OPT_SESSION_MESSAGES},
    {"messages", required_argument, NULL, OPT_MESSAGES},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"recipients", required_argument, NULL, OPT_RECIPIENTS},
    {"headers", required_argument, NULL, OPT_HEADERS},
    {"header-file", required_argument, NULL, OPT_HEADER_FILE},
    {"body", required_argument, NULL, OPT_BODY},
    {"ramp-ms", required_argument, NULL, OPT_RAMP},
    {"rate", required_argument, NULL, OPT_RATE},
    {"think-ms", required_argument, NULL, OPT_THINK},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"hit-share", required_argument, NULL, OPT_HIT_SHARE},
    {"client-keys", required_argument, NULL, OPT_CLIENT_KEYS},
    {"sender-keys", required_argument, NULL, OPT_SENDER_KEYS},
    {"rcpt-keys", required_argument, NULL, OPT_RCPT_KEYS},
    {"miss-expect", required_argument, NULL, OPT_MISS_EXPECT},
    {"continue-only", no_argument, NULL, OPT_CONTINUE_ONLY},
    {"local-domain", required_argument, NULL, OPT_LOCAL_DOMAIN},
    {"pid", required_argument, NULL, OPT_PID},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void wrong_usage(const char *what, const char *value)
{
    fprintf(stderr, "milterload: %s%s%s\n%s", what, value == NULL ? "" : ": ",
            value == NULL ? "" : value, usage_text);
    exit(2);
}

static double number(const char *text, double least, double most)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value >= least && value <= most))
        wrong_usage("not a fitting number", text);
    return value;
}

static unsigned whole(const char *text, unsigned least, unsigned most)
{
    double value = number(text, least, most);
    if (value != (double)(unsigned)value)
        wrong_usage("not a whole number", text);
    return (unsigned)value;
}

static void read_keys(struct facts_keys *keys, const char *path)
{
    if (!facts_keys_read(keys, path)) {
        fprintf(stderr, "milterload: %s: %s\n", path, strerror(errno));
        exit(2);
    }
}

static void read_headers(struct header_file *headers, const char *path)
{
    if (!header_file_read(headers, path)) {
        fprintf(stderr, "milterload: %s: %s\n", path, strerror(errno));
        exit(2);
    }
}

static void set_load(struct load_options *options, int option, const char *value)
{
    switch (option) {
    case OPT_CONNECTIONS:
        options->connections = whole(value, 1, 100000);
        break;
    case OPT_MESSAGES:
        options->messages = whole(value, 1, 2000000000);
        break;
    case OPT_SECONDS:
        options->seconds = number(value, 0.001, 1e6);
        break;
    case OPT_WARMUP:
        options->warmup = whole(value, 0, 2000000000);
        break;
    case OPT_RAMP:
        options->ramp_ms = number(value, 0, 1e6);
        break;
    case OPT_RATE:
        options->rate = number(value, 0.001, 1e9);
        break;
    case OPT_TIMEOUT:
        options->timeout_s = number(value, 0.1, 1e6);
        break;
    case OPT_PID:
        options->pid = (pid_t)whole(value, 1, 2000000000);
        break;
    default:
        wrong_usage("unknown option", NULL);
    }
}

static void set_session(struct session_options *options, int option, const char *value)
{
    switch (option) {
    case OPT_SOCKET:
        options->socket = value;
        break;
    case OPT_MTA:
        if (strcmp(value, "sendmail") != 0 && strcmp(value, "postfix") != 0)
            wrong_usage("unknown MTA", value);
        options->mta = value[0] == 'p' ? MTA_POSTFIX : MTA_SENDMAIL;
        break;
    case OPT_SESSION_MESSAGES:
        options->messages = whole(value, 1, 1000000);
        break;
    case OPT_THINK:
        options->think_ns = (uint64_t)(number(value, 0, 1e6) * 1e6);
        break;
    case OPT_CONTINUE_ONLY:
        options->continue_only = true;
        break;
    default:
        wrong_usage("unknown option", NULL);
    }
}

static void set_facts(struct facts_options *options, int option, const char *value)
{
    switch (option) {
    case OPT_RECIPIENTS:
        options->rcpt_count = whole(value, 1, 10000);
        break;
    case OPT_HEADERS:
        options->header_count = whole(value, 0, 10000);
        break;
    case OPT_HEADER_FILE:
        read_headers(&options->headers, value);
        break;
    case OPT_BODY:
        options->body_size = whole(value, 0, 1000000000);
        break;
    case OPT_SEED:
        options->seed = whole(value, 0, 4294967295u);
        break;
    case OPT_HIT_SHARE:
        options->hit_share = number(value, 0, 1);
        break;
    case OPT_CLIENT_KEYS:
        read_keys(&options->clients, value);
        break;
    case OPT_SENDER_KEYS:
        read_keys(&options->senders, value);
        break;
    case OPT_RCPT_KEYS:
        read_keys(&options->rcpts, value);
        break;
    case OPT_MISS_EXPECT:
        options->miss_expect = value;
        break;
    case OPT_LOCAL_DOMAIN:
        options->local_domain = value;
        break;
    default:
        wrong_usage("unknown option", NULL);
    }
}

static void set_option(struct load_options *options, int option, const char *value)
{
    switch (option) {
    case OPT_SOCKET:
    case OPT_MTA:
    case OPT_SESSION_MESSAGES:
    case OPT_THINK:
    case OPT_CONTINUE_ONLY:
        set_session(&options->session, option, value);
        break;
    case OPT_RECIPIENTS:
    case OPT_HEADERS:
    case OPT_HEADER_FILE:
    case OPT_BODY:
    case OPT_SEED:
    case OPT_HIT_SHARE:
    case OPT_CLIENT_KEYS:
    case OPT_SENDER_KEYS:
    case OPT_RCPT_KEYS:
    case OPT_MISS_EXPECT:
    case OPT_LOCAL_DOMAIN:
        set_facts(&options->session.facts, option, value);
        break;
    default:
        set_load(options, option, value);
    }
}

static bool read_options(struct load_options *options, int argc, char **argv)
{
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPT_HELP) {
            fputs(usage_text, stdout);
            exit(0);
        }
        if (option == '?')
            wrong_usage("see above", NULL);
        if (option == OPT_JSON)
            json = true;
        else
            set_option(options, option, optarg);
    }
    if (optind < argc)
        wrong_usage("what is this", argv[optind]);
    if (options->session.socket == NULL)
        wrong_usage("--socket is missing", NULL);
    if (options->messages == 0 && options->seconds == 0)
        options->messages = 10000;
    return json;
}

int main(int argc, char **argv)
{
    static struct stats stats;
    struct load_options options = {
        .session = {.messages = 3,
                    .facts = {.seed = 1,
                              .hit_share = 0.2,
                              .local_domain = "local.example",
                              .rcpt_count = 2,
                              .header_count = 12,
                              .body_size = 2000}},
        .connections = 20,
        .ramp_ms = 1,
        .timeout_s = 30,
    };
    bool json = read_options(&options, argc, argv);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    struct report report;
    load_run(&options, &stats, &report);
    if (json)
        report_json(&report, stdout);
    else
        report_text(&report, stdout);
    facts_keys_free(&options.session.facts.clients);
    facts_keys_free(&options.session.facts.senders);
    facts_keys_free(&options.session.facts.rcpts);
    header_file_free(&options.session.facts.headers);
    return stats.errors == 0 ? 0 : 1;
}
