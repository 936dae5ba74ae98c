/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/resolver.h"
#include "lib/base/pool.h"
#include "lib/base/thread.h"
#include "lib/base/xalloc.h"
#include "lib/dns/dns_cache.h"
#include "lib/dns/dns_flight.h"
#include "lib/dns/dns_name.h"
#include "lib/dns/resolver_options.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#define DEFAULT_CACHE_ENTRIES 20000
#define DEFAULT_IN_FLIGHT 4096

/* On average; most answers are much smaller. */
#define CACHE_ENTRY_BYTES 1024

#define SECOND 1000000000 /* nanoseconds */

/* Of a question in flight: the cache's and the flight's. */
#define OWN_REFERENCES 2

/* Answers that are told together: each time all who wait for one are held up a little, and others too. */
#define TOLD_TOGETHER 64u

/* An answer that nobody knows yet. */
struct told {
    struct dns_answer *answer;
    struct dns_result *result;
    uint64_t latency_us;
};

/* A question for the thread. */
struct incoming {
    struct incoming *next;
    struct dns_answer *answer;
};

struct resolver {
    struct logger *logger;
    resolver_script *script; /* and no thread */
    void *script_ctx;
    pthread_t thread;
    int wake;                        /* eventfd */
    struct dns_flight *flight;       /* the thread's */
    struct told told[TOLD_TOGETHER]; /* likewise */
    size_t told_count;
    struct dns_latency latency;
    struct pool *answers;
    struct pool *notes; /* of struct incoming */

    pthread_mutex_t mutex; /* of all below */
    bool stop;
    bool ended;      /* nobody answers any more */
    unsigned silent; /* servers, as bits */
    bool down;       /* all of them */
    bool reconfigure;
    struct dns_flight_options options;
    size_t in_flight_max;
    struct incoming *incoming; /* in order */
    struct incoming **incoming_end;
    struct dns_cache *cache;
    struct resolver_stats stats;
};

/* ---- the thread ---- */

static void count_answer(struct resolver_stats *stats, const struct dns_result *result)
{
    uint64_t *counters[] = {
        [DNS_FOUND] = &stats->found,
        [DNS_NODATA] = &stats->nodata,
        [DNS_NXDOMAIN] = &stats->nxdomain,
        [DNS_TEMPFAIL] = &stats->tempfails,
    };

    (*counters[result->status])++;
    stats->timeouts += result->failure == DNS_FAILURE_TIMEOUT ? 1 : 0;
    stats->in_flight--;
}

/* Makes answers known. */
static void tell(struct resolver *resolver)
{
    int64_t now = dns_now();

    (void)pthread_mutex_lock(&resolver->mutex);
    for (size_t i = 0; i < resolver->told_count; i++) {
        const struct told *told = &resolver->told[i];
        int64_t expires = now + (int64_t)dns_result_lifetime(told->result) * SECOND;

        dns_answer_complete(told->answer, told->result, told->latency_us);
        count_answer(&resolver->stats, dns_answer_result(told->answer));
        dns_cache_settle(resolver->cache, told->answer, now, expires);
    }
    (void)pthread_mutex_unlock(&resolver->mutex);
    for (size_t i = 0; i < resolver->told_count; i++) {
        dns_answer_unref(&resolver->told[i].answer);
    }
    resolver->told_count = 0;
}

static void on_answered(void *ctx, struct dns_answer *answer, struct dns_result *result,
                        uint64_t latency_us)
{
    struct resolver *resolver = ctx;

    if (result->status != DNS_TEMPFAIL) {
        dns_latency_add(&resolver->latency, latency_us);
    }
    resolver->told[resolver->told_count++] = (struct told){dns_answer_ref(answer), result,
                                                           latency_us};
    if (resolver->told_count == TOLD_TOGETHER) {
        tell(resolver);
    }
}

static void on_silence(void *ctx, unsigned silent, bool all)
{
    struct resolver *resolver = ctx;

    (void)pthread_mutex_lock(&resolver->mutex);
    resolver->stats.downs += all && !resolver->down ? 1 : 0;
    resolver->silent = silent;
    resolver->down = all;
    (void)pthread_mutex_unlock(&resolver->mutex);
}

/* Takes what others have left; false: the thread is to end. */
static bool take_incoming(struct resolver *resolver)
{
    eventfd_t ignored;

    (void)eventfd_read(resolver->wake, &ignored);
    (void)pthread_mutex_lock(&resolver->mutex);
    struct incoming *incoming = resolver->incoming;
    struct dns_flight_options options = resolver->options;
    bool reconfigure = resolver->reconfigure;
    bool stop = resolver->stop;
    size_t many = resolver->in_flight_max - resolver->in_flight_max / 4;
    size_t too_many = resolver->stats.in_flight > many ? resolver->stats.in_flight - many : 0;

    resolver->incoming = NULL;
    resolver->incoming_end = &resolver->incoming;
    resolver->reconfigure = false;
    resolver->ended = stop;
    (void)pthread_mutex_unlock(&resolver->mutex);
    if (reconfigure) {
        dns_flight_configure(resolver->flight, &options);
    }
    while (incoming != NULL) {
        struct incoming *next = incoming->next;

        dns_flight_ask(resolver->flight, incoming->answer);
        dns_answer_unref(&incoming->answer);
        pool_give(resolver->notes, incoming);
        incoming = next;
    }
    /* Who has its questions forgotten as soon as they are put must not take the place of others. */
    if (too_many > 0) {
        dns_flight_shed(resolver->flight, too_many, OWN_REFERENCES);
    }
    return !stop;
}

static void *run(void *arg)
{
    struct resolver *resolver = arg;
    bool go_on = true;

    while (go_on) {
        if (dns_flight_run(resolver->flight)) {
            go_on = take_incoming(resolver);
        }
        if (resolver->told_count > 0) {
            tell(resolver);
        }
    }
    dns_flight_free(&resolver->flight);
    tell(resolver);
    return NULL;
}

/* ---- options ---- */

enum status resolver_configure(struct resolver *resolver, const struct resolver_options *options,
                               struct strbuf *why)
{
    struct dns_flight_options flight;
    size_t entries = options->cache_entries > 0 ? options->cache_entries : DEFAULT_CACHE_ENTRIES;

    if (resolver->script != NULL) {
        return STATUS_OK;
    }
    if (resolver_options_read(options, &flight, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    (void)pthread_mutex_lock(&resolver->mutex);
    /* Who reloads because of other things need not lose what is known of servers. */
    resolver->reconfigure = resolver->reconfigure ||
                            resolver_options_differ(&resolver->options, &flight);
    if (resolver_servers_differ(&resolver->options, &flight)) {
        /* The answers of the old ones may be what they are replaced for. */
        dns_cache_clear(resolver->cache);
        resolver->silent = 0;
        resolver->down = false;
    }
    resolver->options = flight;
    resolver->in_flight_max = options->in_flight > 0 ? options->in_flight : DEFAULT_IN_FLIGHT;
    dns_cache_limit(resolver->cache, entries, entries * CACHE_ENTRY_BYTES);
    (void)pthread_mutex_unlock(&resolver->mutex);
    (void)eventfd_write(resolver->wake, 1);
    return STATUS_OK;
}

/* ---- life ---- */

static struct resolver *resolver_alloc(struct logger *logger)
{
    struct resolver *resolver = xcalloc(1, sizeof(*resolver));
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        abort(); /* cannot be for so few bytes */
    }
    resolver->logger = logger;
    resolver->cache = dns_cache_new(seed);
    resolver->answers = dns_answer_pool();
    resolver->notes = pool_new(sizeof(struct incoming));
    resolver->incoming_end = &resolver->incoming;
    resolver->wake = -1;
    (void)pthread_mutex_init(&resolver->mutex, NULL);
    return resolver;
}

static bool start_thread(struct resolver *resolver, struct strbuf *why)
{
    const struct dns_flight_events events = {resolver, on_answered, on_silence};

    resolver->flight = dns_flight_new(resolver->wake, &events, resolver->logger, why);
    if (resolver->flight == NULL) {
        return false;
    }
    int failed = thread_start(&resolver->thread, run, resolver);

    if (failed != 0) {
        strbuf_appendf(why, "cannot start the thread for DNS: %s", strerror(failed));
        dns_flight_free(&resolver->flight);
    }
    return failed == 0;
}

struct resolver *resolver_new(const struct resolver_options *options, struct logger *logger,
                              struct strbuf *why)
{
    struct resolver *resolver = resolver_alloc(logger);

    resolver->ended = true; /* until the thread runs */
    resolver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolver->wake < 0) {
        strbuf_appendf(why, "eventfd: %s", strerror(errno));
    } else if (resolver_configure(resolver, options, why) == STATUS_OK &&
               start_thread(resolver, why)) {
        (void)pthread_mutex_lock(&resolver->mutex);
        resolver->ended = resolver->stop;
        (void)pthread_mutex_unlock(&resolver->mutex);
        return resolver;
    }
    resolver_free(&resolver);
    return NULL;
}

struct resolver *resolver_new_scripted(resolver_script *answer, void *ctx)
{
    struct resolver *resolver = resolver_alloc(NULL);

    resolver->script = answer;
    resolver->script_ctx = ctx;
    resolver->ended = true;
    return resolver;
}

void resolver_stop(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&resolver->mutex);
    bool runs = !resolver->ended && !resolver->stop;

    resolver->stop = true;
    (void)pthread_mutex_unlock(&resolver->mutex);
    if (runs) {
        (void)eventfd_write(resolver->wake, 1);
        (void)pthread_join(resolver->thread, NULL);
    }
}

void resolver_free(struct resolver **resolver_ptr)
{
    struct resolver *resolver = *resolver_ptr;

    *resolver_ptr = NULL;
    if (resolver == NULL) {
        return;
    }
    resolver_stop(resolver);
    if (resolver->wake >= 0) {
        (void)close(resolver->wake);
    }
    dns_cache_free(&resolver->cache);
    pool_close(&resolver->answers);
    pool_close(&resolver->notes);
    (void)pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}

/* ---- to ask ---- */

/* An answer that needs no server. */
static struct dns_answer *ready_answer(const char *name, enum dns_type type,
                                       struct dns_result *result)
{
    struct dns_answer *answer = dns_answer_new(name, type);

    dns_answer_complete(answer, result, 0);
    return answer;
}

static struct dns_answer *no_name(const char *name, enum dns_type type)
{
    const struct dns_result nothing = {.status = DNS_NXDOMAIN, .name = ""};

    return ready_answer(name, type, dns_result_new(&nothing));
}

/* Why a question may not go out now. */
static enum dns_failure refuse(struct resolver *resolver)
{
    if (resolver->ended || resolver->stop) {
        return DNS_FAILURE_STOPPED;
    }
    if (resolver->down) {
        resolver->stats.refused_down++;
        return DNS_FAILURE_DOWN;
    }
    if (resolver->stats.in_flight >= resolver->in_flight_max) {
        resolver->stats.overload++;
        return DNS_FAILURE_OVERLOAD;
    }
    return DNS_FAILURE_NONE;
}

static struct dns_answer *send_question(struct resolver *resolver, const char *name,
                                        enum dns_type type, bool *wake)
{
    struct dns_answer *answer = dns_answer_new_in(resolver->answers, name, type);
    struct incoming *incoming = pool_take(resolver->notes);

    *wake = *wake || resolver->incoming == NULL;
    *incoming = (struct incoming){.answer = dns_answer_ref(answer)};
    *resolver->incoming_end = incoming;
    resolver->incoming_end = &incoming->next;
    dns_cache_add(resolver->cache, answer);
    resolver->stats.asked++;
    resolver->stats.in_flight++;
    return answer;
}

/* With the mutex held. NULL: it is not known, and must not be sent. */
static struct dns_answer *find_or_send(struct resolver *resolver, const char *name,
                                       enum dns_type type, bool send, int64_t now, bool *wake)
{
    struct dns_answer *known = dns_cache_find(resolver->cache, name, type, now);

    if (known == NULL && !send) {
        return NULL;
    }
    resolver->stats.questions++;
    if (known != NULL) {
        *(dns_answer_is_ready(known) ? &resolver->stats.cache_hits : &resolver->stats.shared) += 1;
        return dns_answer_ref(known);
    }
    enum dns_failure failure = refuse(resolver);

    return failure != DNS_FAILURE_NONE ? ready_answer(name, type, dns_result_failure(failure, 0))
                                       : send_question(resolver, name, type, wake);
}

static struct dns_answer *ask_script(struct resolver *resolver, const char *name,
                                     enum dns_type type)
{
    return dns_answer_new_scripted(name, type, resolver->script(resolver->script_ctx, name, type));
}

struct dns_answer *resolver_ask(struct resolver *resolver, const char *name, enum dns_type type)
{
    char normalized[DNS_NAME_SIZE];
    struct resolver_question question = {.name = normalized, .type = type};

    if (!dns_name_normalize(name, normalized)) {
        return no_name(name, type);
    }
    (void)resolver_ask_all(resolver, &question, 1, true);
    return question.answer;
}

static size_t ask_all_of_script(struct resolver *resolver, struct resolver_question *questions,
                                size_t count, bool send)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        if (questions[i].name != NULL && questions[i].answer == NULL) {
            questions[i].answer = send ? ask_script(resolver, questions[i].name, questions[i].type)
                                       : NULL;
            left += send ? 0 : 1;
        }
    }
    return left;
}

size_t resolver_ask_all(struct resolver *resolver, struct resolver_question *questions,
                        size_t count, bool send)
{
    int64_t now = dns_now();
    bool wake = false;
    size_t left = 0;

    if (resolver->script != NULL) {
        return ask_all_of_script(resolver, questions, count, send);
    }
    (void)pthread_mutex_lock(&resolver->mutex);
    for (size_t i = 0; i < count; i++) {
        if (questions[i].name != NULL && questions[i].answer == NULL) {
            questions[i].answer = find_or_send(resolver, questions[i].name, questions[i].type, send,
                                               now, &wake);
            left += questions[i].answer == NULL ? 1 : 0;
        }
    }
    (void)pthread_mutex_unlock(&resolver->mutex);
    if (wake) {
        (void)eventfd_write(resolver->wake, 1);
    }
    return left;
}

/* ---- to look at ---- */

void resolver_stats(struct resolver *resolver, struct resolver_stats *out)
{
    (void)pthread_mutex_lock(&resolver->mutex);
    struct dns_cache_stats cache = dns_cache_stats(resolver->cache);

    *out = resolver->stats;
    out->down = resolver->down;
    out->server_count = resolver->options.server_count;
    (void)memcpy(out->servers, resolver->options.servers, sizeof(out->servers));
    for (size_t i = 0; i < RESOLVER_SERVERS_MAX; i++) {
        out->silent[i] = (resolver->silent >> i & 1) != 0;
    }
    (void)pthread_mutex_unlock(&resolver->mutex);
    out->cache_entries = cache.entries;
    out->cache_bytes = cache.bytes;
    out->cache_evicted = cache.evicted;
    out->latency_mean_us = dns_latency_mean(&resolver->latency);
    out->latency_p99_us = dns_latency_percentile(&resolver->latency, 99);
}
