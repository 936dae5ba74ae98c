/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * word_store - texts, each kept once and known by its number.
 */
#ifndef POSTERN_LIB_TABLE_WORD_STORE_H
#define POSTERN_LIB_TABLE_WORD_STORE_H

#include "lib/base/strbuf.h"

#include <stddef.h>
#include <stdint.h>

/* In the caller's storage. */
struct word_store {
    struct strbuf texts;
    struct word_place {
        uint32_t at, len; /* in texts */
    } * words;
    size_t count;
    uint32_t *slots; /* number + 1, by hash; NULL: no more words will come */
    size_t slot_count;
};

void word_store_init(struct word_store *store);
void word_store_fini(struct word_store *store);

/* The number of a word, which is new or known: 0, 1, 2, ... Any bytes may be in it. */
uint32_t word_store_add(struct word_store *store, const char *text, size_t len);

/* Gives back the memory that only word_store_add() needs, which must not be called again. */
void word_store_close(struct word_store *store);

static inline const char *word_store_text(const struct word_store *store, uint32_t word)
{
    return store->texts.data + store->words[word].at;
}

static inline size_t word_store_len(const struct word_store *store, uint32_t word)
{
    return store->words[word].len;
}

#endif
