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

/* Bytes that a filter for so many keys has; a whole number of blocks, never 0. */
size_t keyfilter_size(size_t keys);

/* Adds the key with this hash to the filter of `size` bytes at `data`, which began as all zero. */
void keyfilter_add(void *data, size_t size, uint64_t hash);

/* May the key with this hash be in? `size` is a whole number of blocks and not 0. */
bool keyfilter_may_have(const void *data, size_t size, uint64_t hash);

#endif
