/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keyfilter - "is this key surely not in the map?", answered from one cache line.
 *
 * A split block Bloom filter (as in Apache Parquet): a key picks one block of 256 bits, and one bit in each of the block's
 * eight words. Never says no to a key that was added.
 *
 * It has two parts. What stands behind the tag of a key is asked for first, far more often than whole keys are; that
 * part is small, to stay in the processor's cache, and says yes to one in 40 that were not added. The part of whole keys says so to
 * one in 200.
 */
#ifndef POSTERN_LIB_TABLE_KEYFILTER_H
#define POSTERN_LIB_TABLE_KEYFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYFILTER_BLOCK_SIZE 32u

enum keyfilter_part { KEYFILTER_REST, KEYFILTER_WHOLE };

/*
 * Where the part of a key behind its tag begins: 5 for "from:b.test", 0 for a key without a tag. A tag is lower-case
 * letters, so "ipv6:2001" has none.
 */
size_t keyfilter_tag_len(const char *key, size_t len);

/* What is added for the part of a key behind its tag has another seed than what is added for the whole key. */
#define KEYFILTER_REST_SEED(seed) ((seed) ^ 0x9e3779b97f4a7c15u)

/* Bytes of a filter for so many keys: a whole number of blocks, and at least two. */
size_t keyfilter_size(size_t keys);

/* Can a filter have this size? */
bool keyfilter_is_size(size_t size);

/*
 * Memory for a filter of that size, not cleared; free() it. A large one lies in huge pages where the system has some: each question
 * goes to another place of it, and would wait for page tables too.
 */
void *keyfilter_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Adds what has this hash to a part of the filter of `size` bytes at `data`, which began as all zero. */
void keyfilter_add(void *data, size_t size, enum keyfilter_part part, uint64_t hash);

/* May what has this hash be in that part? */
bool keyfilter_may_have(const void *data, size_t size, enum keyfilter_part part, uint64_t hash);

/* Fetches what keyfilter_may_have() will look at into the processor's cache, without waiting for it. */
void keyfilter_prefetch(const void *data, size_t size, enum keyfilter_part part, uint64_t hash);

#endif
