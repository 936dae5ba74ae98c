/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sparse_bits - a set of numbers below a limit, made for few members among many thousands.
 *
 * A bit for each word of bits says whether there may be a member in it, so that looking for the next member and forgetting all
 * of them take as long as there are members.
 */
#ifndef POSTERN_LIB_TABLE_SPARSE_BITS_H
#define POSTERN_LIB_TABLE_SPARSE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the caller's storage. */
struct sparse_bits {
    uint64_t *words; /* member n: bit n % 64 of words[n / 64] */
    uint64_t *
        summary; /* words[n] is not zero: bit n % 64 of summary[n / 64]; words that are zero may have it, too */
    size_t limit;
};

/* An empty set of numbers below `limit`; sparse_bits_fini() gives its memory back. */
void sparse_bits_init(struct sparse_bits *bits, size_t limit);
void sparse_bits_fini(struct sparse_bits *bits);

void sparse_bits_clear(struct sparse_bits *bits);

/* Both sets have the same limit. */
void sparse_bits_add_all(struct sparse_bits *bits, const struct sparse_bits *more);
void sparse_bits_remove_all(struct sparse_bits *bits, const struct sparse_bits *less);

static inline void sparse_bits_add(struct sparse_bits *bits, size_t number)
{
    bits->words[number / 64] |= UINT64_C(1) << number % 64;
    bits->summary[number / 4096] |= UINT64_C(1) << number / 64 % 64;
}

static inline bool sparse_bits_has(const struct sparse_bits *bits, size_t number)
{
    return (bits->words[number / 64] >> number % 64 & 1) != 0;
}

/* The first member at or behind `from`, or the limit: there is none. */
size_t sparse_bits_next(const struct sparse_bits *bits, size_t from);

#endif
