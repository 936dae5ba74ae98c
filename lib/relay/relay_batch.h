/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_batch - changes that share one write to the journal.
 *
 * Each becomes a line; when the lines are on the disk, memory is changed and all are told.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_BATCH_H
#define POSTERN_LIB_RELAY_RELAY_BATCH_H

#include "lib/relay/relay_index.h"
#include "lib/relay/relay_journal.h"
#include "lib/relay/relay_store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The changes of one batch. */
#define RELAY_BATCH_MAX 1024u

/* Counted for relay_store_stats(). */
struct relay_counts {
    atomic_ullong granted, refused, removed, expired, found, asked, syncs;
};

/* What a change must fit into. */
struct relay_limits {
    size_t max_entries;
    unsigned ipv6_prefix_bits;
    int64_t now;
};

struct relay_batch;

struct relay_batch *relay_batch_new(struct relay_index *index, struct relay_counts *counts);
void relay_batch_free(struct relay_batch **batch);

enum relay_batch_result {
    RELAY_BATCH_TAKEN,
    RELAY_BATCH_COMMIT_FIRST, /* the batch is full, or what becomes of the change depends on what is in it */
    RELAY_BATCH_NO_ROOM, /* the store is full; nothing was taken */
};

/* Takes a change into the batch; not a RELAY_REPLACE. */
enum relay_batch_result relay_batch_add(struct relay_batch *batch, struct relay_change *change,
                                        const struct relay_limits *limits);

/* Takes a change that fails. */
void relay_batch_refuse(struct relay_batch *batch, struct relay_change *change, enum status status,
                        const char *why);

bool relay_batch_is_empty(const struct relay_batch *batch);

/* What is to be written; empty if nothing in the batch changes anything. */
const struct strbuf *relay_batch_lines(const struct relay_batch *batch);

/*
 * The lines are on the disk, or (`failure` says why) are not: changes memory, tells everybody, and the batch is empty.
 */
void relay_batch_finish(struct relay_batch *batch, const char *failure);

/* Tells one change that has not been in a batch. */
void relay_batch_tell(struct relay_counts *counts, struct relay_change *change, enum status status,
                      const char *why, size_t count);

/* Tells all changes of a list that they cannot be made now. */
void relay_batch_tell_all(struct relay_counts *counts, struct relay_change *changes,
                          const char *why);

/* The counts of the statistics; the rest of *stats_out is empty. */
void relay_batch_stats(const struct relay_counts *counts, struct relay_store_stats *stats_out);

#endif
