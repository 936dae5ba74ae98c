/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_list.h"
#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64u

void relay_list_init(struct relay_list *list)
{
    *list = (struct relay_list){.texts = arena_new()};
}

void relay_list_fini(struct relay_list *list)
{
    free(list->entries);
    free(list->slots);
    arena_free(&list->texts);
    *list = (struct relay_list){0};
}

/* ---- by address ---- */

static size_t width_of(const struct netaddr *addr)
{
    return addr->family == NETADDR_IPV4 ? 4 : sizeof(addr->bytes);
}

/* The slot of the address, or the free one where it would be. */
static size_t slot_of(const struct relay_list *list, const struct netaddr *addr)
{
    uint64_t seed = ((uint64_t)addr->family << 8) | addr->bits;
    size_t mask = list->slot_count - 1;
    size_t slot = (size_t)hash64(addr->bytes, width_of(addr), seed) & mask;

    while (list->slots[slot] != 0 &&
           !netaddr_equal(&list->entries[list->slots[slot] - 1].addr, addr)) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

/* Room for one more; half of the slots stay free. */
static void grow(struct relay_list *list)
{
    if (list->count < list->size) {
        return;
    }
    list->size = list->size == 0 ? FIRST_SIZE : list->size * 2;
    list->entries = xrealloc(list->entries, list->size * sizeof(list->entries[0]));
    free(list->slots);
    list->slot_count = list->size * 2;
    list->slots = xcalloc(list->slot_count, sizeof(list->slots[0]));
    for (size_t i = 0; i < list->count; i++) {
        list->slots[slot_of(list, &list->entries[i].addr)] = (uint32_t)i + 1;
    }
}

static const char *copy_text(struct relay_list *list, const char *text)
{
    return *text == '\0' ? "" : arena_strdup(list->texts, text);
}

size_t relay_list_add(struct relay_list *list, const struct relay_entry *entry)
{
    grow(list);
    size_t slot = slot_of(list, &entry->addr);

    if (list->slots[slot] != 0) {
        return list->slots[slot] - 1;
    }
    list->entries[list->count] = (struct relay_entry){
        .addr = entry->addr,
        .login_at = entry->login_at,
        .user = copy_text(list, entry->user),
        .service = copy_text(list, entry->service),
    };
    list->slots[slot] = (uint32_t)++list->count;
    return list->count - 1;
}

struct relay_entry *relay_list_find(const struct relay_list *list, const struct netaddr *addr)
{
    if (list->count == 0) {
        return NULL;
    }
    size_t slot = slot_of(list, addr);

    return list->slots[slot] == 0 ? NULL : &list->entries[list->slots[slot] - 1];
}

/* ---- from a store ---- */

static void collect(void *ctx, const struct relay_entry *entry)
{
    (void)relay_list_add(ctx, entry);
}

static bool walk(const struct relay_store *store, relay_store_visit *visit, struct relay_list *list)
{
    size_t cursor = 0;

    while (relay_store_walk(store, &cursor, visit, list)) {
    }
    return cursor != RELAY_WALK_FAILED;
}

bool relay_list_collect(struct relay_list *list, const struct relay_store *store)
{
    return walk(store, collect, list);
}

static void keep(void *ctx, const struct relay_entry *known)
{
    struct relay_list *list = ctx;
    struct relay_entry *entry = relay_list_find(list, &known->addr);

    if (entry != NULL && entry->login_at == known->login_at && *entry->user == '\0' &&
        *entry->service == '\0') {
        entry->user = copy_text(list, known->user);
        entry->service = copy_text(list, known->service);
    }
}

bool relay_list_keep(struct relay_list *list, const struct relay_store *store)
{
    return walk(store, keep, list);
}

/* ---- order ---- */

static int compare(const void *left, const void *right)
{
    const struct netaddr *a = &((const struct relay_entry *)left)->addr;
    const struct netaddr *b = &((const struct relay_entry *)right)->addr;

    if (a->family != b->family) {
        return a->family == NETADDR_IPV4 ? -1 : 1;
    }
    int order = memcmp(a->bytes, b->bytes, width_of(a));

    return order != 0 ? order : (int)a->bits - (int)b->bits;
}

void relay_list_sort(struct relay_list *list)
{
    if (list->count > 1) {
        qsort(list->entries, list->count, sizeof(list->entries[0]), compare);
    }
    free(list->slots);
    list->slots = NULL;
    list->slot_count = 0;
}
