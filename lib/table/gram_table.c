/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/gram_table.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Bits of the bitmap for each gram, at least: one in this many places of a subject is looked at for nothing. */
#define BITS_OF_GRAM 16u
#define LEAST_BITS 9u
#define MOST_BITS 24u
/* Bits of the bitmap that share a bucket: 2 to this. */
#define BUCKET_SHIFT 3u

static uint32_t hash(const struct gram_table *table, uint32_t gram)
{
    return gram * UINT32_C(2654435761) >> table->shift;
}

static size_t bit_count(const struct gram_table *table)
{
    return (size_t)1 << (32 - table->shift);
}

/* The grams in the order of their buckets. */
static void fill_buckets(struct gram_table *table, const struct gram *grams)
{
    size_t buckets = bit_count(table) >> BUCKET_SHIFT;
    uint32_t *next = xcalloc(buckets + 1, sizeof(*next));

    for (size_t i = 0; i < table->count; i++) {
        table->buckets[(hash(table, grams[i].text) >> BUCKET_SHIFT) + 1]++;
    }
    for (size_t i = 0; i < buckets; i++) {
        table->buckets[i + 1] += table->buckets[i];
        next[i] = table->buckets[i];
    }
    for (size_t i = 0; i < table->count; i++) {
        table->grams[next[hash(table, grams[i].text) >> BUCKET_SHIFT]++] = grams[i];
    }
    free(next);
}

void gram_table_init(struct gram_table *table, unsigned width, const struct gram *grams,
                     size_t count)
{
    unsigned bits = LEAST_BITS;

    while (bits < MOST_BITS && (size_t)1 << bits < count * BITS_OF_GRAM) {
        bits++;
    }
    *table = (struct gram_table){.width = width, .shift = 32 - bits, .count = count};
    table->bitmap = xcalloc(bit_count(table) / 64, sizeof(*table->bitmap));
    table->buckets = xcalloc((bit_count(table) >> BUCKET_SHIFT) + 1, sizeof(*table->buckets));
    table->grams = xcalloc(count + 1, sizeof(*table->grams));
    for (size_t i = 0; i < count; i++) {
        uint32_t place = hash(table, grams[i].text);

        table->bitmap[place / 64] |= UINT64_C(1) << place % 64;
    }
    fill_buckets(table, grams);
}

void gram_table_fini(struct gram_table *table)
{
    free(table->bitmap);
    free(table->buckets);
    free(table->grams);
    *table = (struct gram_table){.count = 0};
}

static uint32_t bit_at(const struct gram_table *table, uint32_t place)
{
    return (uint32_t)(table->bitmap[place / 64] >> place % 64 & 1);
}

/* Without a branch that depends on the text, since no processor can foretell it. Inlined for each width. */
static inline size_t look(const struct gram_table *table, const char *subject, size_t from,
                          size_t end, unsigned width, uint32_t *places)
{
    size_t count = 0;

    for (size_t at = from; at < end; at++) {
        places[count] = (uint32_t)at;
        count += bit_at(table, hash(table, gram_read(subject + at, width)));
    }
    return count;
}

size_t gram_table_look(const struct gram_table *table, const char *subject, size_t len, size_t *at,
                       uint32_t places_out[GRAM_TABLE_BLOCK])
{
    size_t from = *at;
    size_t end = len < table->width ? 0 : len - table->width + 1;

    if (from >= end) {
        *at = len;
        return 0;
    }
    end = end - from > GRAM_TABLE_BLOCK ? from + GRAM_TABLE_BLOCK : end;
    *at = end;
    return table->width == 4 ? look(table, subject, from, end, 4, places_out)
                             : look(table, subject, from, end, 3, places_out);
}

const struct gram *gram_table_find(const struct gram_table *table, uint32_t text,
                                   const struct gram **end_out)
{
    const uint32_t *bucket = &table->buckets[hash(table, text) >> BUCKET_SHIFT];

    *end_out = table->grams + bucket[1];
    return table->grams + bucket[0];
}

size_t gram_table_bytes(const struct gram_table *table)
{
    return bit_count(table) / 8 + (bit_count(table) >> BUCKET_SHIFT) * sizeof(*table->buckets) +
           table->count * sizeof(*table->grams);
}
