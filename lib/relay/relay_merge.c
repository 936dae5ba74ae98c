/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_merge.h"

#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdlib.h>

#define BATCH 1000u

struct merge {
    struct relay_merged *merged;
    struct strbuf *why;
    enum status status;
    pthread_mutex_t mutex; /* of all above, while a batch is under way, and of what follows */
    pthread_cond_t wake;
    size_t waiting; /* changes */
};

static void note_done(struct relay_change *change, enum status status, const char *why,
                      size_t count)
{
    struct merge *merge = change->ctx;

    (void)pthread_mutex_lock(&merge->mutex);
    if (status == STATUS_OK) {
        (*(count > 0 ? &merge->merged->taken : &merge->merged->present))++;
    } else if (status == STATUS_INVALID) {
        merge->merged->refused++;
    }
    if (status != STATUS_OK && merge->status != STATUS_TEMPFAIL) {
        /* A failure of the store says more than what it had refused before. */
        if (merge->status == STATUS_OK || status == STATUS_TEMPFAIL) {
            strbuf_reset(merge->why);
            strbuf_append(merge->why, why);
        }
        merge->status = status;
    }
    if (--merge->waiting == 0) {
        (void)pthread_cond_signal(&merge->wake);
    }
    (void)pthread_mutex_unlock(&merge->mutex);
}

static void run_batch(struct merge *merge, struct relay_store *store,
                      const struct relay_entry *entries, size_t count, struct relay_change *changes)
{
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct relay_change){
            .kind = RELAY_MERGE,
            .entry = entries[i],
            .done = note_done,
            .ctx = merge,
            .next = i + 1 < count ? &changes[i + 1] : NULL,
        };
    }
    merge->waiting = count;
    relay_store_submit(store, changes);
    (void)pthread_mutex_lock(&merge->mutex);
    while (merge->waiting > 0) {
        (void)pthread_cond_wait(&merge->wake, &merge->mutex);
    }
    (void)pthread_mutex_unlock(&merge->mutex);
}

enum status relay_merge(struct relay_store *store, const struct relay_list *list,
                        struct relay_merged *merged_out, struct strbuf *why)
{
    struct relay_change *changes = xcalloc(BATCH, sizeof(changes[0]));
    struct merge merge = {.merged = merged_out, .why = why, .status = STATUS_OK};

    *merged_out = (struct relay_merged){0};
    (void)pthread_mutex_init(&merge.mutex, NULL);
    (void)pthread_cond_init(&merge.wake, NULL);
    for (size_t at = 0; at < list->count && merge.status != STATUS_TEMPFAIL; at += BATCH) {
        size_t count = list->count - at < BATCH ? list->count - at : BATCH;

        run_batch(&merge, store, list->entries + at, count, changes);
    }
    (void)pthread_cond_destroy(&merge.wake);
    (void)pthread_mutex_destroy(&merge.mutex);
    free(changes);
    return merge.status;
}
