/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gram_table - which of many short pieces of text (grams, 3 or 4 bytes) occur in a subject, in one pass over it.
 *
 * A bit for each hash says at most places of a subject that no gram of the table is there, from a bitmap that lies in the
 * processor's cache.
 */
#ifndef POSTERN_LIB_TABLE_GRAM_TABLE_H
#define POSTERN_LIB_TABLE_GRAM_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gram {
    uint32_t text; /* gram_read() */
    uint32_t owner;
};

struct gram_table {
    unsigned width; /* bytes of a gram */
    unsigned shift; /* of hashes */
    uint64_t *bitmap;
    uint32_t *buckets; /* where the grams of a bucket begin; one more at the end */
    struct gram *grams;
    size_t count;
};

/*
 * The gram of that width which begins at `text`. In loads that a register takes as a whole: copying three bytes into a
 * variable costs ten times as much.
 */
static inline uint32_t gram_read(const char *text, unsigned width)
{
    uint32_t gram;
    uint16_t half;

    if (width == 4) {
        memcpy(&gram, text, sizeof(gram));
        return gram;
    }
    memcpy(&half, text, sizeof(half));
    return half | (uint32_t)(unsigned char)text[2] << 16;
}

/* A table of grams, which are copied. gram_table_fini() gives its memory back. */
void gram_table_init(struct gram_table *table, unsigned width, const struct gram *grams,
                     size_t count);
void gram_table_fini(struct gram_table *table);

/* Places of a subject that are looked at together. */
#define GRAM_TABLE_BLOCK 256u

/*
 * Looks at the places of a subject from *at on, GRAM_TABLE_BLOCK of them at most, and sets *at behind them. Returns how many of them may have
 * grams of the table, and which.
 */
size_t gram_table_look(const struct gram_table *table, const char *subject, size_t len, size_t *at,
                       uint32_t places_out[GRAM_TABLE_BLOCK]);

/* The grams with this text are among those from the returned one to before *end_out. */
const struct gram *gram_table_find(const struct gram_table *table, uint32_t text,
                                   const struct gram **end_out);

size_t gram_table_bytes(const struct gram_table *table);

#endif
