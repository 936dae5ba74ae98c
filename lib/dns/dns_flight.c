/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_flight.h"
#include "lib/base/pool.h"
#include "lib/base/xalloc.h"
#include "lib/dns/dns_health.h"
#include "lib/dns/dns_message.h"
#include "lib/dns/dns_window.h"

#include <stdlib.h>
#include <sys/random.h>

#define MS 1000000 /* nanoseconds */

/* How exactly times are kept while anything is in flight. */
#define TICK_MS 20

/* Messages that may be under way in sum; each takes some memory until its question would have ended. */
#define MESSAGES_MAX 16384

/* How long a server may say nothing before it is probed, and how long the probe may take: a quarter of the timeout, within these. */
#define PATIENCE_MIN_MS 100
#define PATIENCE_MAX_MS 1000

/* A message under way. */
struct attempt {
    struct dns_transport_ticket ticket; /* first: the transport gives it back */
    struct question *question;          /* NULL: a probe */
    size_t server;
    unsigned generation;
    enum dns_transport_way way;
};

struct question {
    struct question *next;     /* asked later */
    struct question **link;    /* what points here */
    struct dns_answer *answer; /* NULL: answered; messages may still be under way */
    int64_t asked_at;
    int64_t next_at; /* when the next message goes out */
    unsigned messages;
    unsigned under_way;
    bool tcp;            /* the answer is too long for UDP */
    unsigned refused_by; /* servers that will not say, as bits */
    enum dns_failure failure;
    struct attempt first; /* of its messages, which is the only one nearly always */
};

struct server {
    struct dns_health health;
    bool no_edns; /* it does not know EDNS */
    struct dns_window window;
};

struct dns_flight {
    struct dns_flight_events events;
    struct logger *logger;
    struct dns_transport *transport;
    struct pool *pool; /* of questions */
    struct dns_flight_options options;
    unsigned generation; /* of the servers */
    struct server servers[DNS_TRANSPORT_SERVERS_MAX];
    struct question *questions; /* oldest first */
    struct question **questions_end;
    unsigned under_way; /* messages */
    int64_t patience;
    int64_t tended_at;
    bool hurry;      /* there is something to send */
    bool held;       /* ... for which a server has no room yet */
    unsigned silent; /* servers, as bits; what the owner knows */
    bool down;
    uint16_t ids[64]; /* random, for the next messages */
    size_t ids_left;
};

/* ---- servers ---- */

static void log_server(struct dns_flight *flight, size_t index, const char *result)
{
    char server[DNS_SERVER_TEXT_SIZE];
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "dns");
    log_field(&line, "server", dns_server_format(&flight->options.servers[index], server));
    log_field(&line, "result", result);
    log_line(flight->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

static void tell_silence(struct dns_flight *flight)
{
    size_t count = flight->options.server_count;
    unsigned silent = 0;

    for (size_t i = 0; i < count; i++) {
        silent |= flight->servers[i].health.silent ? 1u << i : 0;
    }
    flight->down = count > 0 && silent == (1u << count) - 1;
    if (silent != flight->silent) {
        flight->silent = silent;
        flight->events.silence(flight->events.ctx, silent, flight->down);
    }
}

/* The server for the next message, or server_count. */
static size_t choose_server(const struct dns_flight *flight, const struct question *question)
{
    size_t count = flight->options.server_count;

    for (size_t i = 0; i < count; i++) {
        size_t index = (question->messages + i) % count;

        if (!flight->servers[index].health.silent && (question->refused_by >> index & 1) == 0) {
            return index;
        }
    }
    return count;
}

/* ---- messages ---- */

static uint16_t random_id(struct dns_flight *flight)
{
    if (flight->ids_left == 0) {
        if (getrandom(flight->ids, sizeof(flight->ids), 0) != (ssize_t)sizeof(flight->ids)) {
            abort(); /* cannot be for so few bytes; ids that can be guessed must not go out */
        }
        flight->ids_left = sizeof(flight->ids) / sizeof(flight->ids[0]);
    }
    return flight->ids[--flight->ids_left];
}

/* `question` NULL: a probe. */
static enum dns_transport_way choose_way(const struct dns_flight *flight,
                                         const struct question *question, size_t server)
{
    /* A question that got no answer may have been lost because of EDNS. */
    bool first = question == NULL || question->messages <= flight->options.server_count;

    return question != NULL && question->tcp           ? DNS_TRANSPORT_TCP
           : first && !flight->servers[server].no_edns ? DNS_TRANSPORT_UDP_EDNS
                                                       : DNS_TRANSPORT_UDP;
}

static void send_message(struct dns_flight *flight, struct question *question, size_t server,
                         const char *name, unsigned type)
{
    uint8_t message[DNS_MESSAGE_QUESTION_SIZE];
    bool first = question != NULL && question->first.question == NULL;
    struct attempt *attempt = first ? &question->first : xmalloc(sizeof(*attempt));

    *attempt = (struct attempt){
        .question = question,
        .server = server,
        .generation = flight->generation,
        .way = choose_way(flight, question, server),
    };
    size_t len = dns_message_question(message, name, type, random_id(flight),
                                      attempt->way == DNS_TRANSPORT_UDP_EDNS ? DNS_MESSAGE_UDP_SIZE
                                                                             : 0);

    flight->under_way++;
    dns_transport_send(flight->transport, server, attempt->way, message, len, &attempt->ticket);
}

static void probe_servers(struct dns_flight *flight, int64_t now)
{
    for (size_t i = 0; i < flight->options.server_count; i++) {
        struct dns_health *health = &flight->servers[i].health;

        if (dns_health_tick(health, now, flight->patience)) {
            log_server(flight, i, "silent");
        }
        if (dns_health_wants_probe(health, now, flight->patience)) {
            dns_health_probe_sent(health, now);
            send_message(flight, NULL, i, "", DNS_MESSAGE_TYPE_NS);
        }
    }
    tell_silence(flight);
}

/* ---- questions ---- */

static void forget(struct dns_flight *flight, struct question *question)
{
    if (question->answer != NULL || question->under_way > 0) {
        return;
    }
    pool_give(flight->pool, question);
}

static void finish(struct dns_flight *flight, struct question *question, struct dns_result *result,
                   uint64_t latency_us)
{
    struct dns_answer *answer = question->answer;

    question->answer = NULL;
    *question->link = question->next;
    *(question->next != NULL ? &question->next->link : &flight->questions_end) = question->link;
    flight->events.answered(flight->events.ctx, answer, result, latency_us);
    dns_answer_unref(&answer);
}

static void fail(struct dns_flight *flight, struct question *question, enum dns_failure failure)
{
    finish(flight, question, dns_result_failure(failure, 0), 0);
}

static int64_t interval(const struct dns_flight *flight)
{
    const struct dns_flight_options *options = &flight->options;

    return (int64_t)options->timeout_ms * MS / (int64_t)(options->server_count * options->tries);
}

static unsigned lifetime_ms(const struct dns_flight_options *options)
{
    return options->timeout_ms + options->timeout_ms / 2;
}

/* If there is room for it. It may be answered, and gone, afterwards. */
static void send_question(struct dns_flight *flight, struct question *question, size_t server,
                          int64_t now)
{
    if (flight->under_way >= MESSAGES_MAX ||
        !dns_window_take(&flight->servers[server].window, now)) {
        flight->held = true;
        return;
    }
    question->next_at = now + interval(flight);
    question->messages++;
    question->under_way++;
    dns_health_sent(&flight->servers[server].health, now);
    send_message(flight, question, server, dns_answer_name(question->answer),
                 (unsigned)dns_answer_type(question->answer));
}

/* Sends what is due, or ends the question. It may be gone afterwards. */
static void tend_question(struct dns_flight *flight, struct question *question, int64_t now)
{
    size_t count = flight->options.server_count;
    size_t server = choose_server(flight, question);
    unsigned lifetime = flight->down ? flight->options.timeout_ms : lifetime_ms(&flight->options);

    if (now - question->asked_at >= (int64_t)lifetime * MS) {
        fail(flight, question, DNS_FAILURE_TIMEOUT);
    } else if (now < question->next_at) {
        return;
    } else if (server < count && question->messages < count * flight->options.tries) {
        send_question(flight, question, server, now);
        return;
    } else if (question->under_way == 0) {
        fail(flight, question,
             question->failure != DNS_FAILURE_NONE ? question->failure : DNS_FAILURE_DOWN);
    } else {
        return;
    }
    forget(flight, question);
}

static void tend_questions(struct dns_flight *flight, int64_t now)
{
    struct question *next;

    flight->hurry = false;
    flight->held = false;
    flight->tended_at = now;
    for (struct question *question = flight->questions; question != NULL; question = next) {
        next = question->next;
        tend_question(flight, question, now);
    }
}

/* ---- answers ---- */

/* The next message goes out at once, to whom it may concern. */
static void try_again(struct dns_flight *flight, struct question *question)
{
    question->next_at = 0;
    flight->hurry = true;
}

/* Is there more than came? c-ares cuts a datagram that is longer than was asked for. */
static bool is_cut(enum dns_transport_way way, const uint8_t *message, size_t len)
{
    size_t most = way == DNS_TRANSPORT_UDP_EDNS ? DNS_MESSAGE_UDP_SIZE : DNS_MESSAGE_PLAIN_SIZE;

    return way != DNS_TRANSPORT_TCP && (len >= most || dns_message_is_truncated(message, len));
}

/* The same server is asked again in another way, if the answer calls for that. */
static bool asks_for_other_way(struct dns_flight *flight, const struct attempt *attempt,
                               const uint8_t *message, size_t len)
{
    struct question *question = attempt->question;

    if (attempt->way == DNS_TRANSPORT_UDP_EDNS && dns_message_is_format_error(message, len)) {
        flight->servers[attempt->server].no_edns = true;
    } else if (is_cut(attempt->way, message, len) && !question->tcp) {
        question->tcp = true;
    } else {
        return false;
    }
    question->messages--;
    return true;
}

static void read_answer(struct dns_flight *flight, const struct attempt *attempt,
                        const uint8_t *message, size_t len)
{
    struct question *question = attempt->question;
    bool current = attempt->generation == flight->generation;

    if (current && asks_for_other_way(flight, attempt, message, len)) {
        try_again(flight, question);
        return;
    }
    struct dns_result *result = dns_message_read(message, len, dns_answer_name(question->answer),
                                                 dns_answer_type(question->answer));

    if (result->status != DNS_TEMPFAIL) {
        finish(flight, question, result, (uint64_t)(dns_now() - question->asked_at) / 1000);
        return;
    }
    question->failure = result->failure;
    question->refused_by |= current ? 1u << attempt->server : 0;
    free(result);
    try_again(flight, question);
}

static void on_done(void *ctx, struct dns_transport_ticket *ticket, const uint8_t *message,
                    size_t len, enum dns_failure failure)
{
    struct dns_flight *flight = ctx;
    struct attempt *attempt = (struct attempt *)ticket;
    struct question *question = attempt->question;
    bool current = attempt->generation == flight->generation;

    flight->under_way--;
    if (message != NULL && current) {
        dns_window_give(&flight->servers[attempt->server].window);
    }
    if (message != NULL && current &&
        dns_health_answered(&flight->servers[attempt->server].health)) {
        log_server(flight, attempt->server, "answers-again");
        tell_silence(flight);
    }
    if (question != NULL) {
        question->under_way--;
        if (question->answer != NULL && message != NULL) {
            read_answer(flight, attempt, message, len);
        } else if (question->answer != NULL) {
            question->failure = failure;
            try_again(flight, question);
        }
    }
    if (question == NULL || attempt != &question->first) {
        free(attempt);
    }
    if (question != NULL) {
        forget(flight, question);
    }
}

/* ---- interface ---- */

struct dns_flight *dns_flight_new(int wake_fd, const struct dns_flight_events *events,
                                  struct logger *logger, struct strbuf *why)
{
    struct dns_flight *flight = xcalloc(1, sizeof(*flight));

    flight->events = *events;
    flight->logger = logger;
    flight->questions_end = &flight->questions;
    flight->pool = pool_new(sizeof(struct question));
    flight->transport = dns_transport_new(wake_fd, on_done, flight, why);
    if (flight->transport == NULL) {
        pool_close(&flight->pool);
        free(flight);
        return NULL;
    }
    return flight;
}

void dns_flight_free(struct dns_flight **flight_ptr)
{
    struct dns_flight *flight = *flight_ptr;

    *flight_ptr = NULL;
    if (flight == NULL) {
        return;
    }
    while (flight->questions != NULL) {
        struct question *question = flight->questions;

        fail(flight, question, DNS_FAILURE_STOPPED);
        forget(flight, question);
    }
    dns_transport_free(&flight->transport);
    pool_close(&flight->pool);
    free(flight);
}

void dns_flight_configure(struct dns_flight *flight, const struct dns_flight_options *options)
{
    unsigned patience_ms = options->timeout_ms / 4;

    patience_ms = patience_ms < PATIENCE_MIN_MS   ? PATIENCE_MIN_MS
                  : patience_ms > PATIENCE_MAX_MS ? PATIENCE_MAX_MS
                                                  : patience_ms;
    flight->patience = (int64_t)patience_ms * MS;
    flight->options = *options;
    flight->generation++;
    for (size_t i = 0; i < DNS_TRANSPORT_SERVERS_MAX; i++) {
        flight->servers[i] = (struct server){.no_edns = false};
    }
    for (struct question *question = flight->questions; question != NULL;
         question = question->next) {
        question->refused_by = 0;
    }
    dns_transport_configure(flight->transport, options->servers, options->server_count,
                            lifetime_ms(options));
    tell_silence(flight);
}

void dns_flight_ask(struct dns_flight *flight, struct dns_answer *answer)
{
    struct question *question = pool_take(flight->pool);
    int64_t now = dns_now();

    *question = (struct question){
        .answer = dns_answer_ref(answer), .asked_at = now, .link = flight->questions_end};
    *flight->questions_end = question;
    flight->questions_end = &question->next;
    if (!flight->held) {
        tend_question(flight, question, now);
    }
}

void dns_flight_shed(struct dns_flight *flight, size_t count, unsigned references)
{
    struct question *next;

    for (struct question *question = flight->questions; question != NULL && count > 0;
         question = next) {
        next = question->next;
        if (!dns_answer_has_more_references(question->answer, references)) {
            fail(flight, question, DNS_FAILURE_OVERLOAD);
            forget(flight, question);
            count--;
        }
    }
}

/* Milliseconds until something is to be done if nothing comes; -1: nothing is. */
static int time_to_wait(const struct dns_flight *flight)
{
    if (flight->hurry) {
        return 0;
    }
    if (flight->held) {
        return 1;
    }
    if (flight->questions != NULL) {
        return TICK_MS;
    }
    for (size_t i = 0; i < flight->options.server_count; i++) {
        const struct dns_health *health = &flight->servers[i].health;

        if (health->silent || health->probing || health->waiting_since != 0) {
            return TICK_MS;
        }
    }
    return -1;
}

bool dns_flight_run(struct dns_flight *flight)
{
    bool woken = dns_transport_wait(flight->transport, time_to_wait(flight));
    int64_t now = dns_now();

    if (flight->hurry || flight->held || now - flight->tended_at >= TICK_MS * MS) {
        tend_questions(flight, now);
        probe_servers(flight, now);
    }
    return woken;
}
