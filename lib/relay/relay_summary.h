/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_summary - what a store has, in a few numbers: how many entries permit, whose they are, how old they are.
 *
 * Made of one walk through the store, between whose steps it counts: nobody who asks the store waits for it. It needs memory for the
 * names of the users meanwhile. Users are told apart without regard to the case of ASCII letters, as the limits do.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_SUMMARY_H
#define POSTERN_LIB_RELAY_RELAY_SUMMARY_H

#include "lib/relay/relay_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_SUMMARY_USERS 10u

/* A user, and from how many addresses he may relay now. */
struct relay_summary_user {
    char user[RELAY_USER_MAX + 1]; /* as one of the entries has it */
    size_t addresses;
};

struct relay_summary {
    size_t in_force;
    size_t expired;   /* their window is over, and they are not swept yet */
    size_t in_future; /* dated in the future: they permit, too */
    size_t users;     /* of entries that permit */
    size_t nameless;  /* entries that permit without a user */
    int64_t
        oldest; /* date of those that permit and are not dated in the future; 0: there are none */
    int64_t newest;
    struct relay_summary_user top[RELAY_SUMMARY_USERS]; /* with most addresses first */
    size_t top_count;
};

/* False: the store could not be read to its end. */
bool relay_summary_read(struct relay_summary *summary_out, const struct relay_store *store,
                        int64_t now, unsigned window_minutes);

#endif
