/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_slots - a hash table of entries: one part of a relay_index, which holds its lock.
 *
 * Open addressing: what is looked at lies side by side. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_SLOTS_H
#define POSTERN_LIB_RELAY_RELAY_SLOTS_H

#include "lib/relay/relay_entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One place; free if the family is NETADDR_NONE. */
struct relay_slot {
    int64_t login_at;
    char *texts;  /* user and service, a NUL byte behind each; NULL: both are unknown */
    uint32_t tag; /* of the address's hash: where its place would be if all were free */
    uint8_t family;
    uint8_t bits;
    uint8_t bytes[16];
};

struct relay_slots {
    struct relay_slot *at;
    uint32_t capacity;
    uint32_t count;
    uint32_t moves; /* how often slots have changed their places */
};

/* What a slot says of its entry; the texts live in it. */
struct netaddr relay_slot_addr(const struct relay_slot *slot);
const char *relay_slot_user(const struct relay_slot *slot);
const char *relay_slot_service(const struct relay_slot *slot);

/* The texts of an entry as a slot has them; free() it. */
char *relay_slot_join_texts(const struct relay_entry *entry);

/* The slot of the address; NULL if it is not there. */
struct relay_slot *relay_slots_search(const struct relay_slots *slots, uint32_t tag,
                                      const struct netaddr *addr);

/* Is there no room for one more? */
bool relay_slots_are_full(const struct relay_slots *slots);

/* The same slots in a larger table; the old one is to be freed, without the texts. */
struct relay_slots relay_slots_grown(const struct relay_slots *slots);

/* Puts in what is not there yet, where there is room; takes its texts over. */
void relay_slots_insert(struct relay_slots *slots, const struct relay_slot *slot);

/* Frees a slot that was found; its texts are the caller's. */
void relay_slots_vacate(struct relay_slots *slots, struct relay_slot *slot);

/* How many have a date of `until` or before. */
size_t relay_slots_count_until(const struct relay_slots *slots, int64_t until);

/* A table of those with a later date; the old one is to be freed, with the texts of the others. */
struct relay_slots relay_slots_younger(const struct relay_slots *slots, int64_t until);

/* Frees all. */
void relay_slots_forget(struct relay_slots *slots);

/* ---- copies of a few at a time, so that a lock is not held for long ---- */

#define RELAY_SLOTS_PIECE 64u

struct relay_slots_copy {
    struct relay_slot slots[RELAY_SLOTS_PIECE]; /* without their texts ... */
    size_t count;
    char texts[RELAY_SLOTS_PIECE *
               (RELAY_USER_MAX + RELAY_SERVICE_MAX + 2)]; /* ... which are here */
    size_t texts_len;
};

/* The next ones from *cursor on, which begins with 0. False: there are no more. If `moves` changes meanwhile, begin again. */
bool relay_slots_copy(const struct relay_slots *slots, uint32_t *cursor,
                      struct relay_slots_copy *copy);

#endif
