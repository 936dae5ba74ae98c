/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/word_store.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64u

void word_store_init(struct word_store *store)
{
    *store = (struct word_store){.count = 0};
    strbuf_init(&store->texts);
}

void word_store_fini(struct word_store *store)
{
    strbuf_fini(&store->texts);
    free(store->words);
    free(store->slots);
    *store = (struct word_store){.count = 0};
}

void word_store_close(struct word_store *store)
{
    free(store->slots);
    store->slots = NULL;
    store->slot_count = 0;
}

/* The slot of the word, or the empty one where it belongs. */
static size_t find_slot(const struct word_store *store, const char *text, size_t len)
{
    size_t slot = (size_t)hash64(text, len, 0) & (store->slot_count - 1);

    while (store->slots[slot] != 0) {
        uint32_t word = store->slots[slot] - 1;

        if (word_store_len(store, word) == len &&
            memcmp(word_store_text(store, word), text, len) == 0) {
            break;
        }
        slot = (slot + 1) & (store->slot_count - 1);
    }
    return slot;
}

/* Half of the slots are empty at least; words have room for half of the slots. */
static void grow(struct word_store *store)
{
    if (store->count * 2 < store->slot_count) {
        return;
    }
    store->slot_count = store->slot_count > 0 ? store->slot_count * 2 : FIRST_SLOTS;
    free(store->slots);
    store->slots = xcalloc(store->slot_count, sizeof(*store->slots));
    store->words = xrealloc(store->words, store->slot_count / 2 * sizeof(*store->words));
    for (size_t i = 0; i < store->count; i++) {
        uint32_t word = (uint32_t)i;
        size_t slot = find_slot(store, word_store_text(store, word), word_store_len(store, word));

        store->slots[slot] = word + 1;
    }
}

uint32_t word_store_add(struct word_store *store, const char *text, size_t len)
{
    grow(store);
    size_t slot = find_slot(store, text, len);

    if (store->slots[slot] == 0) {
        store->words[store->count++] = (struct word_place){(uint32_t)store->texts.len,
                                                           (uint32_t)len};
        strbuf_append_len(&store->texts, text, len);
        store->slots[slot] = (uint32_t)store->count;
    }
    return store->slots[slot] - 1;
}
