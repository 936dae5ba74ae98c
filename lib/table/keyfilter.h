/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keyfilter - "is this key surely not in the map?", answered from one cache line.
 *
 * A split block Bloom filter (as in Apache Parquet): a key picks one block of 256 bits, and one bit in each of the block's
 * eight words. Never says no to a key that was added. With KEYFILTER_BITS bits for each key about one in 200
 * other keys gets a yes.
 */
#ifndef POSTERN_LIB_TABLE_KEYFILTER_H
#define POSTERN_LIB_TABLE_KEYFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYFILTER_BITS 12u
#define KEYFILTER_BLOCK_SIZE 32u

/*
 * Where the part of a key behind its tag begins: 5 for "from:b.test", 0 for a key without a tag. A tag is lower-case
 * letters, so "ipv6:2001" has none.
 */
size_t keyfilter_tag_len(const char *key, size_t len);

/* What is added for the part of a key behind its tag has another seed than what is added for the whole key. */
#define KEYFILTER_REST_SEED(seed) ((seed) ^ 0x9e3779b97f4a7c15u)

/* Bytes that a filter for so many keys has; a whole number of blocks, never 0. */
size_t keyfilter_size(size_t keys);

/* Adds the key with this hash to the filter of `size` bytes at `data`, which began as all zero. */
void keyfilter_add(void *data, size_t size, uint64_t hash);

/* May the key with this hash be in? `size` is a whole number of blocks and not 0. */
bool keyfilter_may_have(const void *data, size_t size, uint64_t hash);

#endif
