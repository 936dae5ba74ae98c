/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_slots - a hash table of entries: one part of a relay_index, which holds its lock.
 *
 * Open addressing: what is looked at lies side by side. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_SLOTS_H
#define POSTERN_LIB_RELAY_RELAY_SLOTS_H

#include "lib/relay/relay_entry.h"

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

/* Puts in what is not there yet; takes its texts over. */
void relay_slots_insert(struct relay_slots *slots, const struct relay_slot *slot);

/* Frees a slot that was found, with its texts. */
void relay_slots_vacate(struct relay_slots *slots, struct relay_slot *slot);

/* Frees those with a date of `until` or before; each is shown to `removed` first. Returns how many. */
size_t relay_slots_expire(struct relay_slots *slots, int64_t until,
                          void (*removed)(void *ctx, const struct relay_slot *slot), void *ctx);

/* Frees all. */
void relay_slots_forget(struct relay_slots *slots);

#endif
