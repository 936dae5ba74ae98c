/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_chains - a hash table that links what it holds: the link is a member of it, and it stays the caller's.
 *
 * Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_CHAINS_H
#define POSTERN_LIB_RELAY_RELAY_CHAINS_H

#include <stddef.h>
#include <stdint.h>

struct relay_chain {
    struct relay_chain *next;
    uint64_t hash;
};

/* All zero: empty. */
struct relay_chains {
    struct relay_chain **heads;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

/* Gives the table's own memory back. */
void relay_chains_fini(struct relay_chains *chains);

void relay_chains_add(struct relay_chains *chains, struct relay_chain *chain, uint64_t hash);

/* Takes out what is in the table. */
void relay_chains_remove(struct relay_chains *chains, struct relay_chain *chain);

/* What has this hash, one after the other: the first one after `after` (NULL: of all); NULL if there are no more. */
struct relay_chain *relay_chains_next(const struct relay_chains *chains, uint64_t hash,
                                      const struct relay_chain *after);

#endif
