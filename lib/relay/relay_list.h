/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_list - many entries at once: those of a text that is to be loaded, or of a store that is to be shown.
 *
 * Each address is there once. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_LIST_H
#define POSTERN_LIB_RELAY_RELAY_LIST_H

#include "lib/base/arena.h"
#include "lib/relay/relay_entry.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More entries than this are never in a list; max_entries cannot be larger. */
#define RELAY_LIST_MAX 100000000u

struct relay_list {
    struct relay_entry *entries;
    size_t count;
    size_t size;
    struct arena *texts; /* of the entries; what is in no line costs nothing */
    uint32_t *slots;     /* by the hash of the address: 1 + its place in `entries`; 0: free */
    size_t slot_count;   /* a power of two, or 0 */
};

/* An empty list in the caller's storage; relay_list_fini() gives its memory back. */
void relay_list_init(struct relay_list *list);
void relay_list_fini(struct relay_list *list);

/* Adds a copy, texts too, and returns its place; if the address is there already, nothing is changed and that place is returned. */
size_t relay_list_add(struct relay_list *list, const struct relay_entry *entry);

/* The entry of this very address or network; NULL: there is none. */
struct relay_entry *relay_list_find(const struct relay_list *list, const struct netaddr *addr);

/* Adds all entries of the store. False: the store could not be read to its end. */
bool relay_list_collect(struct relay_list *list, const struct relay_store *store);

/*
 * Gives user and service to entries that have neither and whose address the store has with the same date: the text from which they come was
 * written without them, and nobody changed their line. False: the store could not be read to its end.
 */
bool relay_list_keep(struct relay_list *list, const struct relay_store *store);

/* IPv4 first, then by address. Places change; nothing can be added or found any more. */
void relay_list_sort(struct relay_list *list);

#endif
