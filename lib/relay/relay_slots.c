/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_slots.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4u

/* ---- one slot ---- */

char *relay_slot_join_texts(const struct relay_entry *entry)
{
    size_t user = strlen(entry->user) + 1;
    size_t service = strlen(entry->service) + 1;

    if (user + service == 2) {
        return NULL;
    }
    char *texts = xmalloc(user + service);

    memcpy(texts, entry->user, user);
    memcpy(texts + user, entry->service, service);
    return texts;
}

const char *relay_slot_user(const struct relay_slot *slot)
{
    return slot->texts == NULL ? "" : slot->texts;
}

const char *relay_slot_service(const struct relay_slot *slot)
{
    return slot->texts == NULL ? "" : slot->texts + strlen(slot->texts) + 1;
}

struct netaddr relay_slot_addr(const struct relay_slot *slot)
{
    struct netaddr addr = {.family = (enum netaddr_family)slot->family, .bits = slot->bits};

    memcpy(addr.bytes, slot->bytes, sizeof(addr.bytes));
    return addr;
}

/* ---- the table ---- */

static uint32_t home_of(const struct relay_slots *slots, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * slots->capacity >> 32);
}

static uint32_t next_of(const struct relay_slots *slots, uint32_t at)
{
    return at + 1 == slots->capacity ? 0 : at + 1;
}

static bool holds(const struct relay_slot *slot, uint32_t tag, const struct netaddr *addr)
{
    return slot->tag == tag && slot->bits == addr->bits && slot->family == addr->family &&
           memcmp(slot->bytes, addr->bytes, sizeof(slot->bytes)) == 0;
}

/* The place of the address; NULL if it is not there. */
struct relay_slot *relay_slots_search(const struct relay_slots *slots, uint32_t tag,
                                      const struct netaddr *addr)
{
    if (slots->count == 0) {
        return NULL;
    }
    for (uint32_t at = home_of(slots, tag);; at = next_of(slots, at)) {
        struct relay_slot *slot = &slots->at[at];

        if (slot->family == NETADDR_NONE) {
            return NULL;
        }
        if (holds(slot, tag, addr)) {
            return slot;
        }
    }
}

/* Puts what is not there yet into the first free place; there is one. */
static void occupy(struct relay_slots *slots, const struct relay_slot *slot)
{
    uint32_t at = home_of(slots, slot->tag);

    while (slots->at[at].family != NETADDR_NONE) {
        at = next_of(slots, at);
    }
    slots->at[at] = *slot;
    slots->count++;
}

/* Makes room for one more: a part holds about a thousandth of all, so this takes microseconds. */
static void reserve(struct relay_slots *slots)
{
    if (slots->count < slots->capacity - slots->capacity / 4) {
        return;
    }
    struct relay_slots grown = {
        .capacity = slots->capacity == 0 ? FIRST_CAPACITY : slots->capacity + slots->capacity / 2,
    };

    grown.at = xcalloc(grown.capacity, sizeof(*grown.at));
    for (uint32_t i = 0; i < slots->capacity; i++) {
        if (slots->at[i].family != NETADDR_NONE) {
            occupy(&grown, &slots->at[i]);
        }
    }
    free(slots->at);
    *slots = grown;
}

void relay_slots_insert(struct relay_slots *slots, const struct relay_slot *slot)
{
    reserve(slots);
    occupy(slots, slot);
}

/* Empties a place and moves those behind it that would not be found any more. */
void relay_slots_vacate(struct relay_slots *slots, struct relay_slot *slot)
{
    uint32_t hole = (uint32_t)(slot - slots->at);

    free(slot->texts);
    for (uint32_t at = next_of(slots, hole); slots->at[at].family != NETADDR_NONE;
         at = next_of(slots, at)) {
        uint32_t home = home_of(slots, slots->at[at].tag);
        /* Does it lie behind the hole, seen from its home? */
        bool behind = hole <= at ? home <= hole || home > at : home <= hole && home > at;

        if (behind) {
            slots->at[hole] = slots->at[at];
            hole = at;
        }
    }
    slots->at[hole] = (struct relay_slot){0};
    slots->count--;
}

void relay_slots_forget(struct relay_slots *slots)
{
    for (uint32_t i = 0; i < slots->capacity; i++) {
        free(slots->at[i].texts);
    }
    free(slots->at);
    *slots = (struct relay_slots){0};
}

size_t relay_slots_expire(struct relay_slots *slots, int64_t until,
                          void (*removed)(void *ctx, const struct relay_slot *slot), void *ctx)
{
    uint32_t old = 0;

    for (uint32_t i = 0; i < slots->capacity; i++) {
        old += slots->at[i].family != NETADDR_NONE && slots->at[i].login_at <= until;
    }
    if (old == 0) {
        return 0;
    }
    /* The others move into a new table, whose size fits them again. */
    uint32_t rest = slots->count - old;
    struct relay_slots kept = {.capacity = rest + rest / 2 + FIRST_CAPACITY};

    kept.at = xcalloc(kept.capacity, sizeof(*kept.at));
    for (uint32_t i = 0; i < slots->capacity; i++) {
        struct relay_slot *slot = &slots->at[i];

        if (slot->family == NETADDR_NONE) {
            continue;
        }
        if (slot->login_at <= until) {
            removed(ctx, slot);
            free(slot->texts);
        } else {
            occupy(&kept, slot);
        }
    }
    free(slots->at);
    *slots = kept;
    return old;
}
