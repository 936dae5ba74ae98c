/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_session_table - the sessions that relay_sessions.h counts, and the entries of the store that they share: who is there, and in
 * which order they came.
 *
 * For relay_sessions.c alone, which holds its lock. No I/O.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_SESSION_TABLE_H
#define POSTERN_LIB_RELAY_RELAY_SESSION_TABLE_H

#include "lib/mail/netaddr.h"
#include "lib/relay/relay_chains.h"
#include "lib/relay/relay_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An entry of the store, and the sessions of its address. */
struct relay_place {
    struct relay_chain chain;
    struct relay_ring turn; /* of relay_session_table.turns */
    struct relay_ring owed; /* of relay_session_table.owed, if `is_owed` */
    struct relay_ring sessions;
    struct netaddr addr; /* as granted */
    size_t open;         /* sessions that count; others wait for the store */
    int64_t touched_ms;  /* when its date was set last */
    int64_t date;
    bool is_owed;  /* a login could not be recorded */
    bool is_paid;  /* it is with the store now */
    bool is_there; /* and there was an entry, which may be another user's */
    bool is_taken; /* by relay_sessions_take_due() */
    int64_t taken_ms;
    char *user;
    char *service;
};

struct relay_session {
    struct relay_chain chain;
    struct relay_ring age; /* of relay_session_table.ages */
    struct relay_ring of_place;
    struct relay_place *place;
    struct netaddr client;
    int64_t begun_ms;
    unsigned unsettled; /* logins that are with the store */
    bool is_open;
    bool is_owed; /* its own login could not be recorded */
    char id[];
};

struct relay_session_table {
    uint64_t seed;
    struct relay_chains by_id;
    struct relay_chains by_addr;
    struct relay_ring ages;  /* sessions, the oldest first */
    struct relay_ring turns; /* places, that which was touched longest ago first */
    struct relay_ring owed;  /* places whose entry is owed */
    size_t open;             /* sessions that count */
    size_t open_places;      /* places with such a session */
    size_t owed_places;
};

/* In the caller's storage. */
void relay_session_table_init(struct relay_session_table *table);
void relay_session_table_fini(struct relay_session_table *table);

/* What a link of `ages`, `turns` and `owed`, and one of a place's sessions, belongs to. */
struct relay_session *relay_session_table_of_age(struct relay_ring *ring);
struct relay_place *relay_session_table_of_turn(struct relay_ring *ring);
struct relay_place *relay_session_table_of_owed(struct relay_ring *ring);
struct relay_session *relay_session_table_of_place(struct relay_ring *ring);

/* NULL: it is not there. */
struct relay_session *relay_session_table_find(const struct relay_session_table *table,
                                               const struct netaddr *client, const char *id);
struct relay_place *relay_session_table_find_place(const struct relay_session_table *table,
                                                   const struct netaddr *addr);

/* Adds a session that is not there and does not count yet; `addr` is the address of its entry. */
struct relay_session *relay_session_table_add(struct relay_session_table *table,
                                              const struct netaddr *client,
                                              const struct netaddr *addr, const char *id,
                                              int64_t now_ms);

/* Frees it; its place goes with its last session. */
void relay_session_table_remove(struct relay_session_table *table, struct relay_session *session);
void relay_session_table_remove_all(struct relay_session_table *table);

/* Does it count? */
void relay_session_table_set_open(struct relay_session_table *table, struct relay_session *session,
                                  bool is_open);

/* Is the store to get an entry for it as soon as it can be had? If not, no session of it waits for that. */
void relay_session_table_set_owed(struct relay_session_table *table, struct relay_place *place,
                                  bool is_owed);

#endif
