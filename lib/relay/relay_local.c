/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_local.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_inbox.h"
#include "lib/relay/relay_loader.h"
#include "lib/relay/relay_store_ops.h"
#include "lib/relay/relay_trouble.h"
#include "lib/relay/relay_writer.h"

#include <stdlib.h>
#include <time.h>

#define RETRY_S 5 /* between attempts to open a file that cannot be had */
#define TEND_S 1

struct local {
    struct relay_store base;
    struct relay_index *index;
    struct relay_trouble *trouble;
    struct relay_settings settings;
    struct relay_counts counts;
    atomic_bool is_usable; /* the index is filled */

    struct relay_inbox inbox;
    struct relay_disk *disk; /* of the thread, once it runs */
    struct relay_writer *writer;
};

static struct local *local_of(struct relay_store *store)
{
    return (struct local *)store;
}

static const struct local *const_local_of(const struct relay_store *store)
{
    return (const struct local *)store;
}

/* ---- the thread ---- */

/* Another attempt to open the files. */
static void try_open(struct local *local)
{
    struct strbuf why;

    strbuf_init(&why);
    if (relay_disk_open(local->disk, &why)) {
        relay_trouble_clear(local->trouble, RELAY_TROUBLE_FILE);
        atomic_store(&local->is_usable, true);
    } else {
        relay_trouble_set(local->trouble, RELAY_TROUBLE_FILE, why.data);
    }
    strbuf_fini(&why);
}

static void refuse_all(struct local *local, struct relay_change *changes)
{
    char why[sizeof(((struct relay_store_stats *)0)->failure)];

    relay_trouble_text(local->trouble, why, sizeof(why));
    relay_batch_tell_all(&local->counts, changes, why);
}

static bool next_changes(struct local *local, struct relay_change **changes_out)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TEND_S;
    return relay_inbox_take(&local->inbox, &until, changes_out);
}

static void *run(void *arg)
{
    struct local *local = arg;
    struct relay_change *changes;
    time_t tried_at = time(NULL);

    while (next_changes(local, &changes)) {
        if (!atomic_load(&local->is_usable)) {
            refuse_all(local, changes);
            if (time(NULL) - tried_at >= RETRY_S || time(NULL) < tried_at) {
                try_open(local);
                tried_at = time(NULL);
            }
            continue;
        }
        relay_writer_take(local->writer, changes);
        relay_writer_tend(local->writer);
    }
    return NULL;
}

/* The disk has something to do. */
static void wake_thread(void *ctx)
{
    struct local *local = ctx;

    relay_inbox_wake(&local->inbox);
}

/* ---- questions ---- */

static enum status local_find(const struct relay_store *store, const struct netaddr *client,
                              int64_t now, struct relay_found *found_out)
{
    const struct local *local = const_local_of(store);
    struct relay_counts *counts = &((struct local *)(uintptr_t)local)->counts;
    unsigned window = atomic_load_explicit(&local->settings.window_minutes, memory_order_relaxed);

    (void)atomic_fetch_add_explicit(&counts->asked, 1, memory_order_relaxed);
    if (!atomic_load(&local->is_usable)) {
        return STATUS_TEMPFAIL;
    }
    if (!relay_index_find(local->index, client, now, window, found_out)) {
        return STATUS_NOTFOUND;
    }
    (void)atomic_fetch_add_explicit(&counts->found, 1, memory_order_relaxed);
    return STATUS_OK;
}

static bool local_walk(const struct relay_store *store, size_t *cursor, relay_store_visit *visit,
                       void *ctx)
{
    const struct local *local = const_local_of(store);

    if (!atomic_load(&local->is_usable)) {
        *cursor = RELAY_WALK_FAILED;
        return false;
    }
    return relay_index_walk(local->index, cursor, visit, ctx);
}

static void local_stats(const struct relay_store *store, struct relay_store_stats *stats_out)
{
    const struct local *local = const_local_of(store);

    relay_batch_stats(&local->counts, stats_out);
    stats_out->usable = atomic_load(&local->is_usable);
    stats_out->entries = stats_out->usable ? relay_index_count(local->index) : 0;
    relay_trouble_text(local->trouble, stats_out->failure, sizeof(stats_out->failure));
}

/* ---- changes ---- */

static void local_submit(struct relay_store *store, struct relay_change *changes)
{
    struct local *local = local_of(store);

    if (!local->inbox.has_thread) {
        relay_trouble_set(local->trouble, RELAY_TROUBLE_CHANGES, "the store is open for reading");
        refuse_all(local, changes);
        return;
    }
    relay_inbox_put(&local->inbox, changes);
}

static void local_configure(struct relay_store *store, const struct relay_terms *terms)
{
    relay_settings_set(&local_of(store)->settings, terms);
}

/* ---- life ---- */

static void local_close(struct relay_store *store)
{
    struct local *local = local_of(store);

    relay_inbox_stop(&local->inbox);
    relay_writer_free(&local->writer);
    relay_disk_close(&local->disk);
    relay_index_free(&local->index);
    relay_trouble_free(&local->trouble);
    relay_inbox_fini(&local->inbox);
    free(local);
}

static const struct relay_store_ops local_ops = {
    .close = local_close,
    .configure = local_configure,
    .find = local_find,
    .walk = local_walk,
    .stats = local_stats,
    .submit = local_submit,
};

static struct local *new_local(const struct relay_store_options *options)
{
    struct local *local = xcalloc(1, sizeof(*local));

    local->base.ops = &local_ops;
    local->index = relay_index_new();
    local->trouble = relay_trouble_new(options->logger, "file", options->file);
    relay_inbox_init(&local->inbox);
    local_configure(&local->base, &options->terms);
    return local;
}

struct relay_store *relay_local_open(const struct relay_store_options *options, struct strbuf *why)
{
    struct local *local = new_local(options);
    struct relay_store *store = &local->base;

    local->disk = relay_disk_new(options->file, local->index, options->logger, local->trouble,
                                 wake_thread, local);
    local->writer = relay_writer_new(local->index, local->disk, local->trouble, &local->counts,
                                     &local->settings);
    if (options->wait) {
        try_open(local);
    } else if (!relay_disk_open(local->disk, why)) {
        relay_store_close(&store);
        return NULL;
    } else {
        atomic_store(&local->is_usable, true);
    }
    if (!relay_inbox_start(&local->inbox, run, local)) {
        strbuf_append(why, "there is no thread to be had for the store");
        relay_store_close(&store);
        return NULL;
    }
    return store;
}

struct relay_store *relay_local_read(const struct relay_store_options *options, struct strbuf *why)
{
    struct local *local = new_local(options);
    struct relay_store *store = &local->base;
    struct relay_files files;
    struct relay_loaded loaded;

    relay_files_init(&files, options->file);
    bool done = relay_loader_load(&files, false, local->index, options->logger, &loaded, why);

    if (done && !loaded.has_file && !loaded.has_journal) {
        strbuf_appendf(why, "%s: there is no such file", options->file);
        done = false;
    }
    if (done) {
        atomic_store(&local->is_usable, true);
    } else {
        relay_store_close(&store);
    }
    free(loaded.aside);
    relay_files_fini(&files);
    return store;
}
