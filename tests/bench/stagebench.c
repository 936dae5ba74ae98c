/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stagebench: what the decisions alone cost, without libmilter, threads and log: the same invented clients and messages as
 * milterload sends go straight into the stages. Its figures hardly depend on what else the machine does.
 */
#include "lib/policy/ruleset.h"
#include "lib/policy/session.h"
#include "lib/policy/stages.h"
#include "lib/policy/trace.h"
#include "tests/bench/facts.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage_text[] =
    "usage: stagebench -c FILE [options]\n"
    "  --sessions N   open at once, taken in turn, so that their data are cold (400)\n"
    "  --messages N   in one round (30000)         --rounds N  of which the median counts (9)\n"
    "  --recipients N (2)   --seed N (1)   --hit-share P (0)\n"
    "  --client-keys FILE --sender-keys FILE --rcpt-keys FILE\n"
    "  --header-file FILE of messages, as milterload takes it (none: no headers)\n"
    "  --json\n";

struct options {
    const char *config;
    unsigned sessions;
    unsigned messages;
    unsigned rounds;
    bool json;
    struct facts_options facts;
};

enum { MESSAGES_OF_SESSION = 3, MAX_ROUNDS = 1000 };

/* One open session; its facts are made beforehand, outside of what is timed. */
struct slot {
    struct session session;
    struct facts_source source;
    struct facts_client client;
    unsigned messages_left;
    bool open;
};

struct prepared {
    struct facts_message message;
    char (*rcpts)[FACTS_ADDRESS_SIZE + 2];
    char sender[FACTS_ADDRESS_SIZE + 2];
};

struct counting_trace {
    struct trace trace;
    unsigned long lookups;
};

static double cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        perror("stagebench");
        exit(75);
    }
    return memory;
}

static void count_lookup(struct trace *trace, const struct trace_lookup *lookup)
{
    (void)lookup;
    ((struct counting_trace *)trace)->lookups++;
}

static void ignore_note(struct trace *trace, const char *text)
{
    (void)trace;
    (void)text;
}

static void open_slot(struct slot *slot, struct ruleset *ruleset, struct trace *trace)
{
    const struct session_client client = {
        .name = slot->client.host,
        .address = slot->client.addr,
        .resolve = slot->client.resolve,
        .ptr = slot->client.ptr,
        .hostname = "mx.local.example",
        .daemon_name = "MTA",
        .daemon_addr = "192.0.2.25",
    };
    session_init(&slot->session, ruleset, trace);
    session_connect(&slot->session, &client);
    (void)stage_connect(&slot->session);
    (void)stage_helo(&slot->session, slot->client.helo);
    slot->open = true;
}

static void run_headers(struct slot *slot, const struct prepared *prepared)
{
    const struct header_file *file = &slot->source.options->headers;

    for (unsigned i = 0; file->message_count > 0 && i < prepared->message.header_count; i++) {
        const struct header_file_field *field = &file->field[prepared->message.first_header + i];

        (void)stage_header(&slot->session, field->name, field->value);
    }
}

static void run_message(struct slot *slot, const struct prepared *prepared, unsigned rcpts)
{
    const struct session_login login = {.type = NULL, .authen = NULL};
    struct verdict verdict = stage_mail(&slot->session, &login, prepared->sender);

    if (!verdict_is_refusal(&verdict)) {
        for (unsigned i = 0; i < rcpts; i++) {
            (void)stage_rcpt(&slot->session, prepared->rcpts[i], NULL);
        }
        run_headers(slot, prepared);
        (void)stage_eom(&slot->session);
    }
    session_reset_message(&slot->session);
}

static void prepare(struct slot *slot, const struct options *options, uint64_t *number,
                    struct prepared *prepared)
{
    if (slot->messages_left == 0) {
        facts_start(&slot->source, &options->facts, (*number)++);
        facts_client(&slot->source, &slot->client);
    }
    facts_message(&slot->source, &prepared->message);
    snprintf(prepared->sender, sizeof(prepared->sender), "<%s>", prepared->message.sender);
    for (unsigned i = 0; i < options->facts.rcpt_count; i++) {
        facts_rcpt(&slot->source, &prepared->message);
        snprintf(prepared->rcpts[i], sizeof(prepared->rcpts[i]), "<%s>", prepared->message.rcpt);
    }
}

/* CPU nanoseconds of a message, its share of the session among them. */
static double run_round(const struct options *options, struct slot *slots, struct ruleset *ruleset,
                        struct trace *trace, uint64_t *number)
{
    double spent = 0;
    struct prepared *prepared = must(calloc(options->sessions, sizeof(*prepared)));

    for (unsigned i = 0; i < options->sessions; i++) {
        prepared[i].rcpts = must(calloc(options->facts.rcpt_count, sizeof(*prepared[i].rcpts)));
    }
    for (unsigned done = 0; done < options->messages; done += options->sessions) {
        for (unsigned i = 0; i < options->sessions; i++) {
            prepare(&slots[i], options, number, &prepared[i]);
        }
        double before = cpu_ns();

        for (unsigned i = 0; i < options->sessions; i++) {
            if (slots[i].messages_left == 0) {
                if (slots[i].open) {
                    session_fini(&slots[i].session);
                }
                open_slot(&slots[i], ruleset, trace);
                slots[i].messages_left = MESSAGES_OF_SESSION;
            }
            run_message(&slots[i], &prepared[i], options->facts.rcpt_count);
            slots[i].messages_left--;
        }
        spent += cpu_ns() - before;
    }
    unsigned turns = (options->messages + options->sessions - 1) / options->sessions;

    for (unsigned i = 0; i < options->sessions; i++) {
        free(prepared[i].rcpts);
    }
    free(prepared);
    return spent / ((double)turns * options->sessions);
}

static void close_slots(struct slot *slots, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (slots[i].open) {
            session_fini(&slots[i].session);
        }
        slots[i] = (struct slot){0};
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const struct options *options, double *rounds, double lookups)
{
    qsort(rounds, options->rounds, sizeof(*rounds), compare_doubles);
    double median = rounds[options->rounds / 2];

    if (options->json) {
        printf("{\"version\":1,\"cpu_ns_per_message\":%.1f,\"least_ns\":%.1f,\"most_ns\":%.1f,"
               "\"lookups_per_message\":%.2f}\n",
               median, rounds[0], rounds[options->rounds - 1], lookups);
    } else {
        printf("%.0f ns CPU a message (least %.0f, most %.0f of %u rounds), %.1f lookups\n", median,
               rounds[0], rounds[options->rounds - 1], options->rounds, lookups);
    }
}

static void wrong_usage(const char *what)
{
    fprintf(stderr, "stagebench: %s\n%s", what, usage_text);
    exit(2);
}

static unsigned whole(const char *text, unsigned least, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value < least || value > most) {
        wrong_usage("not a fitting number");
    }
    return (unsigned)value;
}

static void read_keys(struct facts_keys *keys, const char *path)
{
    if (!facts_keys_read(keys, path)) {
        fprintf(stderr, "stagebench: %s: %s\n", path, strerror(errno));
        exit(2);
    }
}

static void set_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'c':
        options->config = value;
        break;
    case 's':
        options->sessions = whole(value, 1, 100000);
        break;
    case 'm':
        options->messages = whole(value, 1, 100000000);
        break;
    case 'r':
        options->rounds = whole(value, 1, MAX_ROUNDS);
        break;
    case 'R':
        options->facts.rcpt_count = whole(value, 1, 10000);
        break;
    case 'S':
        options->facts.seed = whole(value, 0, 4294967295u);
        break;
    case 'h':
        options->facts.hit_share = strtod(value, NULL);
        break;
    case 'C':
        read_keys(&options->facts.clients, value);
        break;
    case 'F':
        read_keys(&options->facts.senders, value);
        break;
    case 'T':
        read_keys(&options->facts.rcpts, value);
        break;
    case 'H':
        if (!header_file_read(&options->facts.headers, value)) {
            fprintf(stderr, "stagebench: %s: %s\n", value, strerror(errno));
            exit(2);
        }
        break;
    case 'j':
        options->json = true;
        break;
    default:
        wrong_usage("unknown option");
    }
}

static void read_options(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"sessions", required_argument, NULL, 's'},
        {"messages", required_argument, NULL, 'm'},
        {"rounds", required_argument, NULL, 'r'},
        {"recipients", required_argument, NULL, 'R'},
        {"seed", required_argument, NULL, 'S'},
        {"hit-share", required_argument, NULL, 'h'},
        {"client-keys", required_argument, NULL, 'C'},
        {"sender-keys", required_argument, NULL, 'F'},
        {"rcpt-keys", required_argument, NULL, 'T'},
        {"header-file", required_argument, NULL, 'H'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:", names, NULL)) != -1) {
        set_option(options, option, optarg);
    }
    if (options->config == NULL || optind < argc) {
        wrong_usage("-c FILE is missing, or there is more than options");
    }
}

int main(int argc, char **argv)
{
    struct options options = {
        .sessions = 400,
        .messages = 30000,
        .rounds = 9,
        .facts = {.seed = 1, .local_domain = "local.example", .rcpt_count = 2},
    };
    struct counting_trace counting = {.trace = {count_lookup, ignore_note}};
    struct diag diag;
    uint64_t number = 0;
    double rounds[MAX_ROUNDS];

    read_options(&options, argc, argv);
    diag_init(&diag, diag_to_stream, stderr);
    struct ruleset *ruleset = ruleset_load(options.config, &diag);

    if (ruleset == NULL) {
        return 1;
    }
    struct slot *slots = must(calloc(options.sessions, sizeof(*slots)));

    /* The lookups are counted in a round of their own: a trace costs time. It also warms up. */
    (void)run_round(&options, slots, ruleset, &counting.trace, &number);
    close_slots(slots, options.sessions);
    unsigned turns = (options.messages + options.sessions - 1) / options.sessions;
    double lookups = (double)counting.lookups / ((double)turns * options.sessions);

    for (unsigned i = 0; i < options.rounds; i++) {
        rounds[i] = run_round(&options, slots, ruleset, NULL, &number);
    }
    report(&options, rounds, lookups);
    close_slots(slots, options.sessions);
    free(slots);
    ruleset_unref(&ruleset);
    facts_keys_free(&options.facts.clients);
    facts_keys_free(&options.facts.senders);
    facts_keys_free(&options.facts.rcpts);
    header_file_free(&options.facts.headers);
    return 0;
}
