/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_index - all entries of a store in memory, by address.
 *
 * It lies in many small parts with a lock each, so that no question ever waits for more than a look at one part: not for a part that
 * grows, a walk, or a replacement of all. Questions and walks are safe for threads; changes are made by one thread at a time.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_INDEX_H
#define POSTERN_LIB_RELAY_RELAY_INDEX_H

#include "lib/relay/relay_store.h"

struct relay_index;

struct relay_index *relay_index_new(void);
void relay_index_free(struct relay_index **index);

size_t relay_index_count(const struct relay_index *index);

/* The longest prefix that holds the client and permits at `now`; *found_out may be NULL. */
bool relay_index_find(const struct relay_index *index, const struct netaddr *client, int64_t now,
                      unsigned window_minutes, struct relay_found *found_out);

/* The entry of exactly this address or network, whatever its date. */
bool relay_index_get(const struct relay_index *index, const struct netaddr *addr,
                     struct relay_found *found_out);

/* As relay_store_walk(); `visit` is called without a lock. */
bool relay_index_walk(const struct relay_index *index, size_t *cursor, relay_store_visit *visit,
                      void *ctx);

/* ---- changes ---- */

/* How many entries have a date of `until` or before: for the thread that makes changes. */
size_t relay_index_count_until(const struct relay_index *index, int64_t until);

/* Sets an entry that is sound. With `younger_only`, one that has a later date already stays as it is. */
void relay_index_put(struct relay_index *index, const struct relay_entry *entry, bool younger_only);

/* False: it was not there. */
bool relay_index_remove(struct relay_index *index, const struct netaddr *addr);

/* Removes what has a date of `until` or before; returns how many. */
size_t relay_index_expire(struct relay_index *index, int64_t until);

/*
 * What will replace all entries is put aside piece by piece, and then takes their place at once; or is forgotten. While there is
 * something aside, relay_index_put(), _remove() and _expire() still change what is in force.
 */
void relay_index_stage(struct relay_index *index, const struct relay_entry *entry);
size_t relay_index_swap(struct relay_index *index); /* returns how many are in force now */
void relay_index_unstage(struct relay_index *index);

#endif
