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

bool relay_slots_are_full(const struct relay_slots *slots)
{
    return slots->count >= slots->capacity - slots->capacity / 4;
}

struct relay_slots relay_slots_grown(const struct relay_slots *slots)
{
    struct relay_slots grown = {
        .capacity = slots->capacity == 0 ? FIRST_CAPACITY : slots->capacity + slots->capacity / 2,
        .moves = slots->moves + 1,
    };

    grown.at = xcalloc(grown.capacity, sizeof(*grown.at));
    for (uint32_t i = 0; i < slots->capacity; i++) {
        if (slots->at[i].family != NETADDR_NONE) {
            occupy(&grown, &slots->at[i]);
        }
    }
    return grown;
}

void relay_slots_insert(struct relay_slots *slots, const struct relay_slot *slot)
{
    occupy(slots, slot);
}

/* Empties a place and moves those behind it that would not be found any more. */
void relay_slots_vacate(struct relay_slots *slots, struct relay_slot *slot)
{
    uint32_t hole = (uint32_t)(slot - slots->at);

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
    slots->moves++;
}

void relay_slots_forget(struct relay_slots *slots)
{
    for (uint32_t i = 0; i < slots->capacity; i++) {
        free(slots->at[i].texts);
    }
    free(slots->at);
    *slots = (struct relay_slots){0};
}

size_t relay_slots_count_until(const struct relay_slots *slots, int64_t until)
{
    size_t count = 0;

    for (uint32_t i = 0; i < slots->capacity; i++) {
        count += slots->at[i].family != NETADDR_NONE && slots->at[i].login_at <= until;
    }
    return count;
}

struct relay_slots relay_slots_younger(const struct relay_slots *slots, int64_t until)
{
    uint32_t rest = slots->count - (uint32_t)relay_slots_count_until(slots, until);
    struct relay_slots kept = {
        .capacity = rest + rest / 2 + FIRST_CAPACITY,
        .moves = slots->moves + 1,
    };

    kept.at = xcalloc(kept.capacity, sizeof(*kept.at));
    for (uint32_t i = 0; i < slots->capacity; i++) {
        if (slots->at[i].family != NETADDR_NONE && slots->at[i].login_at > until) {
            occupy(&kept, &slots->at[i]);
        }
    }
    return kept;
}

bool relay_slots_copy(const struct relay_slots *slots, uint32_t *cursor,
                      struct relay_slots_copy *copy)
{
    uint32_t end = slots->capacity - *cursor > RELAY_SLOTS_PIECE ? *cursor + RELAY_SLOTS_PIECE
                                                                 : slots->capacity;

    copy->count = 0;
    copy->texts_len = 0;
    for (; *cursor < end; (*cursor)++) {
        const struct relay_slot *slot = &slots->at[*cursor];

        if (slot->family == NETADDR_NONE) {
            continue;
        }
        size_t user = strlen(relay_slot_user(slot)) + 1;
        size_t service = strlen(relay_slot_service(slot)) + 1;

        /* They fit: the texts of an entry have their bounds. */
        memcpy(copy->texts + copy->texts_len, relay_slot_user(slot), user);
        memcpy(copy->texts + copy->texts_len + user, relay_slot_service(slot), service);
        copy->texts_len += user + service;
        copy->slots[copy->count] = *slot;
        copy->slots[copy->count++].texts = NULL;
    }
    return *cursor < slots->capacity;
}
