/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gram_table - which of many short pieces of text (grams, 3 or 4 bytes) occur in a subject, in one pass over it.
 *
 * A bit for each hash says at most places of a subject that no gram of the table is there, from a bitmap that lies in the
 * processor's cache.
 */
#ifndef POSTERN_LIB_TABLE_GRAM_TABLE_H
#define POSTERN_LIB_TABLE_GRAM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* The gram of that width which begins at `text`. */
uint32_t gram_read(const char *text, unsigned width);

/* A table of grams, which are copied. gram_table_fini() gives its memory back. */
void gram_table_init(struct gram_table *table, unsigned width, const struct gram *grams,
                     size_t count);
void gram_table_fini(struct gram_table *table);

/* What is at one place of a subject. */
struct gram_hit {
    size_t at;
    uint32_t text;
    const struct gram *first, *end; /* those whose text is the same are among these */
};

/* The next place at or behind hit->at where grams of the table may be. False: no more. */
bool gram_table_next(const struct gram_table *table, const char *subject, size_t len,
                     struct gram_hit *hit);

size_t gram_table_bytes(const struct gram_table *table);

#endif
