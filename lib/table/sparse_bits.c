/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/sparse_bits.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>

#define WORD 64u
#define SUMMARY (WORD * WORD) /* numbers of one word of the summary */

static size_t summaries(const struct sparse_bits *bits)
{
    return (bits->limit + SUMMARY - 1) / SUMMARY;
}

void sparse_bits_init(struct sparse_bits *bits, size_t limit)
{
    bits->limit = limit;
    bits->words = xcalloc(limit / WORD + 1, sizeof(*bits->words));
    bits->summary = xcalloc(limit / SUMMARY + 1, sizeof(*bits->summary));
}

void sparse_bits_fini(struct sparse_bits *bits)
{
    free(bits->words);
    free(bits->summary);
    *bits = (struct sparse_bits){.limit = 0};
}

/* Takes the lowest bit out of *word. */
static size_t take_bit(uint64_t *word)
{
    size_t bit = (size_t)__builtin_ctzll(*word);

    *word &= *word - 1;
    return bit;
}

void sparse_bits_clear(struct sparse_bits *bits)
{
    for (size_t i = 0; i < summaries(bits); i++) {
        while (bits->summary[i] != 0) {
            bits->words[i * WORD + take_bit(&bits->summary[i])] = 0;
        }
    }
}

void sparse_bits_add_all(struct sparse_bits *bits, const struct sparse_bits *more)
{
    for (size_t i = 0; i < summaries(more); i++) {
        uint64_t left = more->summary[i];

        bits->summary[i] |= left;
        while (left != 0) {
            size_t word = i * WORD + take_bit(&left);

            bits->words[word] |= more->words[word];
        }
    }
}

void sparse_bits_remove_all(struct sparse_bits *bits, const struct sparse_bits *less)
{
    for (size_t i = 0; i < summaries(less); i++) {
        uint64_t left = bits->summary[i] & less->summary[i];

        while (left != 0) {
            size_t word = i * WORD + take_bit(&left);

            bits->words[word] &= ~less->words[word];
        }
    }
}

size_t sparse_bits_next(const struct sparse_bits *bits, size_t from)
{
    if (from >= bits->limit) {
        return bits->limit;
    }
    uint64_t word = bits->words[from / WORD] & ~UINT64_C(0) << from % WORD;

    if (word != 0) {
        return from / WORD * WORD + (size_t)__builtin_ctzll(word);
    }
    /* The words behind that one. */
    size_t next = from / WORD + 1;

    for (size_t i = next / WORD; i < summaries(bits); i++) {
        uint64_t left = bits->summary[i];

        if (i == next / WORD) {
            left &= ~UINT64_C(0) << next % WORD;
        }
        while (left != 0) {
            size_t at = i * WORD + take_bit(&left);

            if (bits->words[at] != 0) {
                return at * WORD + (size_t)__builtin_ctzll(bits->words[at]);
            }
        }
    }
    return bits->limit;
}
