/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_users - from which addresses each user has logged in of late: a stolen password shows itself by their number.
 *
 * In memory, for one thread. Addresses that were not granted count as well: whoever has the password must not become a known user by
 * trying long enough. Bounded: of each user the latest RELAY_USERS_MORE beyond its limit are remembered, and of all users those who
 * have come last.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_USERS_H
#define POSTERN_LIB_RELAY_RELAY_USERS_H

#include "lib/mail/netaddr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_USERS_MORE 16u

struct relay_users;

struct relay_users *relay_users_new(void);
void relay_users_free(struct relay_users **users);

/* Forgets all. */
void relay_users_reset(struct relay_users *users);

/* What is to be remembered. */
struct relay_users_terms {
    unsigned limit;       /* addresses that a user may have */
    int64_t since;        /* what was seen then or before counts no more */
    size_t max_addresses; /* of all users together */
};

struct relay_users_seen {
    unsigned count;    /* addresses of the user within the time, with this one */
    bool is_new;       /* this one was not among them */
    bool is_granted;   /* it was, and is marked by relay_users_grant() */
    bool is_withdrawn; /* relay_users_withdraw() was called, and nothing granted since */
};

/* The user (in any case, not "") was seen at an address. A date never goes back. */
struct relay_users_seen relay_users_note(struct relay_users *users, const char *user,
                                         const struct netaddr *addr, int64_t seen_at,
                                         const struct relay_users_terms *terms);

/* The same for an address that is known already, else nothing: it is still in use. */
void relay_users_touch(struct relay_users *users, const char *user, const struct netaddr *addr,
                       int64_t seen_at);

/* The address was granted. Nothing, if it is not known. */
void relay_users_grant(struct relay_users *users, const char *user, const struct netaddr *addr);

/* All that was granted was taken away. */
void relay_users_withdraw(struct relay_users *users, const char *user);

/* Addresses of all users that are remembered. */
size_t relay_users_count(const struct relay_users *users);

#endif
