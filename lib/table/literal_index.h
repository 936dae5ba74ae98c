/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * literal_index - which of many patterns find in a subject all the words that they need (regex_needs.h), in one pass over it.
 *
 * Each pattern waits for the rarest of its clauses, whose words are looked for all at once; when one of them is seen, the
 * prefix and the other clauses of the pattern are looked at, too.
 * Filled once, then immutable and safe for threads, each with a scratch of its own.
 */
#ifndef POSTERN_LIB_TABLE_LITERAL_INDEX_H
#define POSTERN_LIB_TABLE_LITERAL_INDEX_H

#include "lib/table/regex_needs.h"
#include "lib/table/sparse_bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct literal_index;

struct literal_index *literal_index_new(void);
void literal_index_free(struct literal_index **index);

/* Adds a pattern, in ascending order. False: its needs hold no word to look for, so it is not in the index. */
bool literal_index_add(struct literal_index *index, uint32_t pattern,
                       const struct regex_needs *needs);

/* To be called once, behind the last literal_index_add() and before the first scan. */
void literal_index_finish(struct literal_index *index);

/*
 * How many patterns wait for words that this one waits for, itself counted in; 0: it is not in the index. Of an index that is
 * finished.
 */
size_t literal_index_crowd(const struct literal_index *index, uint32_t pattern);

/* How many different words it knows. */
size_t literal_index_words(const struct literal_index *index);

/* What one thread needs while it scans. */
struct literal_scratch {
    uint64_t *seen;  /* a bit for each word */
    uint32_t *words; /* those that were seen */
    size_t count;
};

/* It fits any index with as many words, or fewer. */
void literal_scratch_init(struct literal_scratch *scratch, const struct literal_index *index);
void literal_scratch_fini(struct literal_scratch *scratch);

/* Adds the patterns that may match; `folded` was made by regex_tree_fold(). */
void literal_index_scan(const struct literal_index *index, const char *folded, size_t len,
                        struct literal_scratch *scratch, struct sparse_bits *may_match);

size_t literal_index_bytes(const struct literal_index *index);

#endif
