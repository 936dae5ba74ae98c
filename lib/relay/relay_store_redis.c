/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_store_redis.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_inbox.h"
#include "lib/relay/relay_redis_changes.h"
#include "lib/relay/relay_redis_pool.h"
#include "lib/relay/relay_redis_question.h"
#include "lib/relay/relay_redis_rounds.h"
#include "lib/relay/relay_redis_server.h"
#include "lib/relay/relay_redis_tls.h"
#include "lib/relay/relay_redis_upkeep.h"
#include "lib/relay/relay_redis_wait.h"
#include "lib/relay/relay_store_ops.h"
#include "lib/relay/relay_trouble.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINKS_OF_DAEMON RELAY_REDIS_LINKS_MAX
#define LINKS_OF_PROGRAM 1u
#define TEND_MS 2000
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 5000
#define STEADY_MS 10000

struct redis {
    struct relay_store base;
    struct relay_redis_server *server;
    struct relay_redis_pool *pool;
    struct relay_redis_asked asked;
    struct relay_redis_rounds *rounds;
    struct relay_trouble *trouble;
    struct relay_settings settings;
    struct relay_counts counts;
    atomic_size_t entries; /* when they were counted last */

    bool is_daemon;
    atomic_bool must_renew;
    struct relay_inbox inbox;

    /* of the thread */
    struct relay_redis_changes *changes;
    int64_t opened_at_ms; /* the last time; 0: since then it was lost, and that was noted */
    int64_t retry_at_ms, retry_ms;
    int64_t tend_at_ms;
    struct relay_redis_upkeep *upkeep;
};

static struct redis *redis_of(struct relay_store *store)
{
    return (struct redis *)store;
}

static struct redis *asked_of(const struct relay_store *store)
{
    return (struct redis *)(uintptr_t)store;
}

/* ---- the thread ---- */

static void wake_thread(void *ctx)
{
    struct redis *redis = ctx;

    relay_inbox_wake(&redis->inbox);
}

static void wait_longer(struct redis *redis)
{
    redis->retry_ms = redis->retry_ms == 0 ? RETRY_FIRST_MS : redis->retry_ms * 2;
    redis->retry_ms = redis->retry_ms > RETRY_LAST_MS ? RETRY_LAST_MS : redis->retry_ms;
    redis->retry_at_ms = relay_redis_now() + redis->retry_ms;
}

/* A server that is lost is tried again at once, but not one that is lost again and again. */
static void note_loss(struct redis *redis)
{
    if (redis->opened_at_ms == 0) {
        return;
    }
    if (relay_redis_now() - redis->opened_at_ms > STEADY_MS) {
        redis->retry_ms = 0;
        redis->retry_at_ms = 0;
    } else {
        wait_longer(redis);
    }
    redis->opened_at_ms = 0;
}

/* Connects, if it is time for another attempt. */
static void try_open(struct redis *redis)
{
    struct strbuf why;

    note_loss(redis);
    if (relay_redis_now() < redis->retry_at_ms) {
        return;
    }
    strbuf_init(&why);
    if (relay_redis_pool_open(redis->pool, true, &why)) {
        redis->opened_at_ms = relay_redis_now();
        redis->tend_at_ms = redis->opened_at_ms + TEND_MS;
    } else {
        wait_longer(redis);
    }
    strbuf_fini(&why);
}

static void tend(struct redis *redis)
{
    int64_t now = relay_redis_now();

    if (now >= redis->tend_at_ms) {
        relay_redis_pool_tend(redis->pool);
        redis->tend_at_ms = relay_redis_now() + TEND_MS;
    }
    if (redis->is_daemon) {
        relay_redis_upkeep_step(redis->upkeep);
    }
}

/* When the thread has something to do, if nothing comes. */
static int64_t next_look(struct redis *redis)
{
    if (relay_redis_pool_is_away(redis->pool)) {
        return redis->retry_at_ms;
    }
    return relay_redis_upkeep_is_busy(redis->upkeep) ? 0 : redis->tend_at_ms;
}

static bool next_changes(struct redis *redis, struct relay_change **changes_out)
{
    struct timespec until = relay_redis_timespec(next_look(redis));
    bool goes_on = relay_inbox_take(&redis->inbox, &until, changes_out);

    if (atomic_exchange(&redis->must_renew, false)) {
        relay_redis_upkeep_renew(redis->upkeep);
    }
    return goes_on;
}

static void *run(void *arg)
{
    struct redis *redis = arg;
    struct relay_change *changes;

    while (next_changes(redis, &changes)) {
        if (relay_redis_pool_is_away(redis->pool)) {
            try_open(redis);
        }
        if (relay_redis_pool_is_away(redis->pool)) {
            relay_redis_changes_refuse(redis->changes, changes);
            continue;
        }
        relay_redis_changes_take(redis->changes, changes);
        tend(redis);
    }
    return NULL;
}

/* ---- questions ---- */

static enum status redis_find(const struct relay_store *store, const struct netaddr *client,
                              int64_t now, struct relay_found *found_out)
{
    struct redis *redis = asked_of(store);
    unsigned window = atomic_load_explicit(&redis->settings.window_minutes, memory_order_relaxed);

    (void)atomic_fetch_add_explicit(&redis->counts.asked, 1, memory_order_relaxed);
    enum status status = relay_redis_rounds_find(redis->rounds, client, now, window, found_out);

    if (status == STATUS_OK) {
        (void)atomic_fetch_add_explicit(&redis->counts.found, 1, memory_order_relaxed);
    }
    return status;
}

static enum status redis_charge(struct relay_store *store, const struct netaddr *addr,
                                unsigned limit, int64_t now)
{
    (void)now; /* the server has the hour */
    return relay_redis_question_charge(&redis_of(store)->asked, addr, limit);
}

static bool redis_walk(const struct relay_store *store, size_t *cursor, relay_store_visit *visit,
                       void *ctx)
{
    return relay_redis_question_walk(&asked_of(store)->asked, cursor, visit, ctx);
}

static void redis_stats(const struct relay_store *store, struct relay_store_stats *stats_out)
{
    struct redis *redis = asked_of(store);
    size_t entries;

    if (relay_redis_question_count(&redis->asked, (int64_t)time(NULL),
                                   atomic_load(&redis->settings.window_minutes),
                                   &entries) == STATUS_OK) {
        atomic_store(&redis->entries, entries);
    }
    relay_batch_stats(&redis->counts, stats_out);
    stats_out->entries = atomic_load(&redis->entries);
    stats_out->usable = !relay_redis_pool_is_away(redis->pool);
    relay_redis_pool_text(redis->pool, stats_out->failure, sizeof(stats_out->failure));
    if (*stats_out->failure == '\0') {
        relay_trouble_text(redis->trouble, stats_out->failure, sizeof(stats_out->failure));
    }
}

/* ---- changes ---- */

static void redis_submit(struct relay_store *store, struct relay_change *changes)
{
    struct redis *redis = redis_of(store);

    if (redis->inbox.has_thread) {
        relay_inbox_put(&redis->inbox, changes);
    } else {
        relay_batch_tell_all(&redis->counts, changes, "the store is open for reading");
    }
}

static void redis_configure(struct relay_store *store, const struct relay_terms *terms)
{
    struct redis *redis = redis_of(store);
    struct relay_settings *settings = &redis->settings;
    unsigned before = atomic_load(&settings->window_minutes);

    relay_settings_set(settings, terms);
    if (before != terms->window_minutes) {
        atomic_store(&redis->must_renew, true);
        relay_inbox_wake(&redis->inbox);
    }
}

/* ---- life ---- */

static void redis_close(struct relay_store *store)
{
    struct redis *redis = redis_of(store);

    relay_inbox_stop(&redis->inbox);
    relay_redis_changes_free(&redis->changes);
    relay_redis_upkeep_free(&redis->upkeep);
    relay_redis_rounds_free(&redis->rounds);
    relay_redis_pool_free(&redis->pool);
    relay_redis_server_free(&redis->server);
    relay_trouble_free(&redis->trouble);
    relay_inbox_fini(&redis->inbox);
    free(redis);
}

static const struct relay_store_ops redis_ops = {
    .close = redis_close,
    .configure = redis_configure,
    .find = redis_find,
    .charge = redis_charge,
    .waits = true,
    .walk = redis_walk,
    .stats = redis_stats,
    .submit = redis_submit,
};

static struct redis *new_redis(const struct relay_store_options *options, struct strbuf *why)
{
    struct relay_redis_server *server = relay_redis_server_new(&options->redis, why);

    if (server == NULL) {
        return NULL;
    }
    struct redis *redis = xcalloc(1, sizeof(*redis));

    redis->base.ops = &redis_ops;
    redis->server = server;
    redis->is_daemon = options->wait;
    relay_inbox_init(&redis->inbox);
    redis->trouble = relay_trouble_new(options->logger, "redis", server->name);
    /* A program says itself why the store cannot be had. */
    redis->pool = relay_redis_pool_new(server, options->wait ? LINKS_OF_DAEMON : LINKS_OF_PROGRAM,
                                       options->wait ? options->logger : NULL, wake_thread, redis);
    redis->asked = (struct relay_redis_asked){.server = server, .pool = redis->pool};
    redis->rounds = relay_redis_rounds_new(&redis->asked);
    redis->changes = relay_redis_changes_new(&redis->asked, redis->trouble, &redis->counts,
                                             &redis->settings);
    redis->upkeep = relay_redis_upkeep_new(&redis->asked, redis->trouble, &redis->counts,
                                           &redis->settings);
    redis_configure(&redis->base, &options->terms);
    return redis;
}

/* The first connections. */
static bool open_first(struct redis *redis, bool writes, struct strbuf *why)
{
    struct strbuf reason;

    strbuf_init(&reason);
    bool done = relay_redis_pool_open(redis->pool, writes, &reason);

    if (!done) {
        strbuf_appendf(why, "%s: %s", redis->server->name, reason.data);
    }
    strbuf_fini(&reason);
    return done;
}

struct relay_store *relay_store_redis_open(const struct relay_store_options *options,
                                           struct strbuf *why)
{
    struct redis *redis = new_redis(options, why);
    struct relay_store *store = redis == NULL ? NULL : &redis->base;

    if (redis == NULL) {
        return NULL;
    }
    if (options->wait) {
        try_open(redis);
        relay_redis_upkeep_renew(redis->upkeep);
    } else if (!open_first(redis, true, why)) {
        relay_store_close(&store);
        return NULL;
    }
    if (!relay_inbox_start(&redis->inbox, run, redis)) {
        strbuf_append(why, "there is no thread to be had for the store");
        relay_store_close(&store);
        return NULL;
    }
    return store;
}

struct relay_store *relay_store_redis_read(const struct relay_store_options *options,
                                           struct strbuf *why)
{
    struct redis *redis = new_redis(options, why);
    struct relay_store *store = redis == NULL ? NULL : &redis->base;

    if (redis != NULL && !open_first(redis, false, why)) {
        relay_store_close(&store);
        return NULL;
    }
    return store;
}

const char *relay_store_redis_lacks(const struct relay_redis_url *url)
{
    return url != NULL && url->kind == RELAY_REDIS_TLS && !relay_redis_tls_is_built()
               ? "this postern was built without TLS: build it with OpenSSL, or use redis:// in a "
                 "network that you trust"
               : NULL;
}
