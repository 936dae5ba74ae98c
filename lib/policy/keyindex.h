/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keyindex - which key stands in which line of a rule file, for a million of them.
 *
 * Holds hashes, not texts: two keys of equal 64-bit hash are taken for one.
 */
#ifndef POSTERN_LIB_POLICY_KEYINDEX_H
#define POSTERN_LIB_POLICY_KEYINDEX_H

#include <stddef.h>
#include <stdint.h>

struct keyindex_entry {
    uint64_t hash;
    unsigned line;
};

struct keyindex {
    struct keyindex_entry *entries;
    size_t count;
    size_t size;
};

void keyindex_init(struct keyindex *index);
void keyindex_fini(struct keyindex *index);

/* Adds a key; afterwards keyindex_sort() must be called before lookups. */
void keyindex_add(struct keyindex *index, const char *key, size_t len, unsigned line);
void keyindex_sort(struct keyindex *index);

/* The first line that has the key, or 0. */
unsigned keyindex_line(const struct keyindex *index, const char *key, size_t len);

#endif
