/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_inbox - the thread of a store, and the changes that wait for it. For all kinds of stores.
 *
 * Safe for threads, where nothing else is said.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_INBOX_H
#define POSTERN_LIB_RELAY_RELAY_INBOX_H

#include "lib/relay/relay_store.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

struct relay_inbox {
    bool has_thread; /* else the store is for reading only */
    pthread_t thread;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;
    struct relay_change *first;
    struct relay_change **last;
    bool must_look;
    bool must_stop;
};

/* Not to be moved from then on. */
void relay_inbox_init(struct relay_inbox *inbox);

/* Frees what it holds; the thread is stopped. */
void relay_inbox_fini(struct relay_inbox *inbox);

/* Starts the thread; to be called once. False: there is none to be had. */
bool relay_inbox_start(struct relay_inbox *inbox, void *(*run)(void *ctx), void *ctx);

/* Lets the thread do what has come, and waits for its end. Does nothing if there is none. */
void relay_inbox_stop(struct relay_inbox *inbox);

/* Adds a list of changes. */
void relay_inbox_put(struct relay_inbox *inbox, struct relay_change *changes);

/* There is something to do besides. */
void relay_inbox_wake(struct relay_inbox *inbox);

/*
 * For the thread: what has come since the last time, in its order. Waits until something has, somebody wakes it, or the monotonic clock shows
 * `until`. False: the store is closed, and that was all.
 */
bool relay_inbox_take(struct relay_inbox *inbox, const struct timespec *until,
                      struct relay_change **changes_out);

#endif
