/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_store.h"

#include "lib/relay/relay_local.h"
#include "lib/relay/relay_store_ops.h"
#include "lib/relay/relay_store_redis.h"
#include "lib/relay/relay_usage.h"

#include <pthread.h>
#include <time.h>

struct relay_store *relay_store_open(const struct relay_store_options *options, struct strbuf *why)
{
    struct relay_store *store = options->backend == RELAY_BACKEND_REDIS
                                    ? relay_store_redis_open(options, why)
                                    : relay_local_open(options, why);

    if (store != NULL) {
        store->usage = relay_usage_new(options->terms.max_entries);
    }
    return store;
}

struct relay_store *relay_store_read(const struct relay_store_options *options, struct strbuf *why)
{
    return options->backend == RELAY_BACKEND_REDIS ? relay_store_redis_read(options, why)
                                                   : relay_local_read(options, why);
}

void relay_store_close(struct relay_store **store)
{
    if (*store != NULL) {
        struct relay_usage *usage = (*store)->usage;

        (*store)->ops->close(*store);
        relay_usage_free(&usage);
        *store = NULL;
    }
}

void relay_store_configure(struct relay_store *store, const struct relay_terms *terms)
{
    store->ops->configure(store, terms);
    if (store->usage != NULL) {
        relay_usage_resize(store->usage, terms->max_entries);
    }
}

bool relay_store_waits(const struct relay_store *store)
{
    return store->ops->waits;
}

enum status relay_store_find(const struct relay_store *store, const struct netaddr *client,
                             int64_t now, struct relay_found *found_out)
{
    return store->ops->find(store, client, now, found_out);
}

void relay_store_explain(const struct relay_store *store, const struct netaddr *client,
                         struct strbuf *why)
{
    struct relay_found found;
    char utc[40];
    struct tm parts;

    /* At the beginning of time no window was over. */
    if (relay_store_find(store, client, 0, &found) == STATUS_OK) {
        time_t when = (time_t)found.login_at;

        if (gmtime_r(&when, &parts) != NULL &&
            strftime(utc, sizeof(utc), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0) {
            strbuf_appendf(why, "its window is over, which began at %s", utc);
            return;
        }
    }
    strbuf_append(why, "no entry permits it");
}

enum status relay_store_charge(struct relay_store *store, const struct netaddr *addr,
                               unsigned limit, int64_t now)
{
    if (store->usage == NULL) {
        return STATUS_TEMPFAIL; /* it is open for reading */
    }
    if (limit == 0 || store->ops->charge == NULL) {
        return relay_usage_charge(store->usage, addr, limit, now) ? STATUS_OK : STATUS_NOTFOUND;
    }
    enum status status = store->ops->charge(store, addr, limit, now);
    if (status == STATUS_OK) {
        (void)relay_usage_charge(store->usage, addr, 0, now);
    } else if (status == STATUS_NOTFOUND) {
        relay_usage_note_refused(store->usage, addr, now);
    }
    return status;
}

size_t relay_store_top(const struct relay_store *store, struct relay_top *top, size_t size)
{
    return store->usage == NULL ? 0 : relay_usage_top(store->usage, top, size);
}

bool relay_store_walk(const struct relay_store *store, size_t *cursor, relay_store_visit *visit,
                      void *ctx)
{
    return store->ops->walk(store, cursor, visit, ctx);
}

void relay_store_stats(const struct relay_store *store, struct relay_store_stats *stats_out)
{
    store->ops->stats(store, stats_out);
    if (store->usage != NULL) {
        relay_usage_totals(store->usage, &stats_out->recipients, &stats_out->recipients_refused);
    }
}

void relay_store_submit(struct relay_store *store, struct relay_change *changes)
{
    if (changes != NULL) {
        store->ops->submit(store, changes);
    }
}

/* ---- waiting for one change ---- */

struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool done;
    enum status status;
    struct strbuf *why;
    size_t count;
};

static void note_done(struct relay_change *change, enum status status, const char *why,
                      size_t count)
{
    struct wait *wait = change->ctx;

    (void)pthread_mutex_lock(&wait->mutex);
    wait->status = status;
    wait->count = count;
    if (wait->why != NULL) {
        strbuf_append(wait->why, why);
    }
    wait->done = true;
    (void)pthread_cond_signal(&wait->wake);
    (void)pthread_mutex_unlock(&wait->mutex);
}

enum status relay_store_apply(struct relay_store *store, struct relay_change *change,
                              struct strbuf *why, size_t *count_out)
{
    struct wait wait = {.why = why};

    (void)pthread_mutex_init(&wait.mutex, NULL);
    (void)pthread_cond_init(&wait.wake, NULL);
    change->done = note_done;
    change->ctx = &wait;
    change->next = NULL;
    relay_store_submit(store, change);
    (void)pthread_mutex_lock(&wait.mutex);
    while (!wait.done) {
        (void)pthread_cond_wait(&wait.wake, &wait.mutex);
    }
    (void)pthread_mutex_unlock(&wait.mutex);
    (void)pthread_cond_destroy(&wait.wake);
    (void)pthread_mutex_destroy(&wait.mutex);
    if (count_out != NULL) {
        *count_out = wait.count;
    }
    return wait.status;
}
