/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_session_table.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- lists ---- */

struct relay_session *relay_session_table_of_age(struct relay_ring *ring)
{
    return (struct relay_session *)(void *)((char *)ring - offsetof(struct relay_session, age));
}

struct relay_session *relay_session_table_of_place(struct relay_ring *ring)
{
    return (struct relay_session *)(void *)((char *)ring -
                                            offsetof(struct relay_session, of_place));
}

struct relay_place *relay_session_table_of_turn(struct relay_ring *ring)
{
    return (struct relay_place *)(void *)((char *)ring - offsetof(struct relay_place, turn));
}

struct relay_place *relay_session_table_of_owed(struct relay_ring *ring)
{
    return (struct relay_place *)(void *)((char *)ring - offsetof(struct relay_place, owed));
}

/* ---- finding ---- */

static uint64_t hash_addr(const struct relay_session_table *table, const struct netaddr *addr)
{
    return hash64(addr->bytes, sizeof(addr->bytes),
                  table->seed ^ (addr->bits | (uint64_t)addr->family << 8));
}

static uint64_t hash_session(const struct relay_session_table *table, const struct netaddr *client,
                             const char *id)
{
    return hash64(id, strlen(id), hash_addr(table, client));
}

/* The members `chain` come first in both: a pointer to it is one to the whole. */
struct relay_session *relay_session_table_find(const struct relay_session_table *table,
                                               const struct netaddr *client, const char *id)
{
    uint64_t hash = hash_session(table, client, id);
    struct relay_chain *chain = NULL;

    while ((chain = relay_chains_next(&table->by_id, hash, chain)) != NULL) {
        struct relay_session *session = (struct relay_session *)chain;

        if (netaddr_equal(&session->client, client) && strcmp(session->id, id) == 0) {
            return session;
        }
    }
    return NULL;
}

struct relay_place *relay_session_table_find_place(const struct relay_session_table *table,
                                                   const struct netaddr *addr)
{
    uint64_t hash = hash_addr(table, addr);
    struct relay_chain *chain = NULL;

    while ((chain = relay_chains_next(&table->by_addr, hash, chain)) != NULL) {
        struct relay_place *place = (struct relay_place *)chain;

        if (netaddr_equal(&place->addr, addr)) {
            return place;
        }
    }
    return NULL;
}

/* ---- coming and going ---- */

static struct relay_place *add_place(struct relay_session_table *table, const struct netaddr *addr,
                                     int64_t now_ms)
{
    struct relay_place *place = xcalloc(1, sizeof(*place));

    place->addr = *addr;
    place->touched_ms = now_ms;
    relay_ring_init(&place->sessions);
    relay_ring_init(&place->owed);
    relay_ring_append(&table->turns, &place->turn);
    relay_chains_add(&table->by_addr, &place->chain, hash_addr(table, addr));
    return place;
}

void relay_session_table_set_owed(struct relay_session_table *table, struct relay_place *place,
                                  bool is_owed)
{
    if (place->is_owed != is_owed) {
        place->is_owed = is_owed;
        if (is_owed) {
            relay_ring_append(&table->owed, &place->owed);
            table->owed_places++;
        } else {
            relay_ring_remove(&place->owed);
            table->owed_places--;
            for (struct relay_ring *at = place->sessions.after; at != &place->sessions;
                 at = at->after) {
                relay_session_table_of_place(at)->is_owed = false;
            }
        }
    }
}

static void remove_place(struct relay_session_table *table, struct relay_place *place)
{
    relay_session_table_set_owed(table, place, false);
    relay_ring_remove(&place->turn);
    relay_chains_remove(&table->by_addr, &place->chain);
    free(place->user);
    free(place->service);
    free(place);
}

struct relay_session *relay_session_table_add(struct relay_session_table *table,
                                              const struct netaddr *client,
                                              const struct netaddr *addr, const char *id,
                                              int64_t now_ms)
{
    size_t size = strlen(id) + 1;
    struct relay_session *session = xcalloc(1, sizeof(*session) + size);

    session->client = *client;
    memcpy(session->id, id, size);
    session->place = relay_session_table_find_place(table, addr);
    if (session->place == NULL) {
        session->place = add_place(table, addr, now_ms);
    }
    relay_ring_append(&session->place->sessions, &session->of_place);
    relay_ring_append(&table->ages, &session->age);
    relay_chains_add(&table->by_id, &session->chain, hash_session(table, client, id));
    return session;
}

void relay_session_table_set_open(struct relay_session_table *table, struct relay_session *session,
                                  bool is_open)
{
    struct relay_place *place = session->place;

    if (session->is_open == is_open) {
        return;
    }
    session->is_open = is_open;
    if (is_open) {
        table->open++;
        table->open_places += place->open++ == 0;
    } else {
        table->open--;
        table->open_places -= --place->open == 0;
    }
}

/* Its place goes with its last session. */
void relay_session_table_remove(struct relay_session_table *table, struct relay_session *session)
{
    struct relay_place *place = session->place;

    relay_session_table_set_open(table, session, false);
    relay_ring_remove(&session->age);
    relay_ring_remove(&session->of_place);
    relay_chains_remove(&table->by_id, &session->chain);
    free(session);
    if (relay_ring_is_empty(&place->sessions)) {
        remove_place(table, place);
    }
}

void relay_session_table_remove_all(struct relay_session_table *table)
{
    while (!relay_ring_is_empty(&table->ages)) {
        relay_session_table_remove(table, relay_session_table_of_age(table->ages.after));
    }
}

/* ---- life ---- */

void relay_session_table_init(struct relay_session_table *table)
{
    *table = (struct relay_session_table){0};
    relay_ring_init(&table->ages);
    relay_ring_init(&table->turns);
    relay_ring_init(&table->owed);
    if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(table->seed)) {
        table->seed = (uint64_t)(uintptr_t)table; /* early in the boot: hard to guess, too */
    }
}

void relay_session_table_fini(struct relay_session_table *table)
{
    relay_session_table_remove_all(table);
    relay_chains_fini(&table->by_id);
    relay_chains_fini(&table->by_addr);
}
