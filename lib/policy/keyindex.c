/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/keyindex.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>

#define HASH_SEED 0u

void keyindex_init(struct keyindex *index)
{
    *index = (struct keyindex){0};
}

void keyindex_fini(struct keyindex *index)
{
    free(index->entries);
    *index = (struct keyindex){0};
}

void keyindex_add(struct keyindex *index, const char *key, size_t len, unsigned line)
{
    if (index->count == index->size) {
        index->size = index->size == 0 ? 256 : index->size * 2;
        index->entries = xrealloc(index->entries, index->size * sizeof(*index->entries));
    }
    index->entries[index->count++] = (struct keyindex_entry){hash64(key, len, HASH_SEED), line};
}

static int compare(const void *left, const void *right)
{
    const struct keyindex_entry *a = left;
    const struct keyindex_entry *b = right;

    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return a->line < b->line ? -1 : a->line > b->line;
}

void keyindex_sort(struct keyindex *index)
{
    if (index->count > 0) {
        qsort(index->entries, index->count, sizeof(*index->entries), compare);
    }
}

unsigned keyindex_line(const struct keyindex *index, const char *key, size_t len)
{
    uint64_t hash = hash64(key, len, HASH_SEED);
    size_t low = 0;
    size_t high = index->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (index->entries[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < index->count && index->entries[low].hash == hash ? index->entries[low].line : 0;
}
