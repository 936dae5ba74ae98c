/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_kept - logins that the store could not take because it is away, told to it again until it can.
 *
 * Most of those who tell of logins tell of each one once. What is kept is granted with the date of the login, so that nobody may relay for
 * longer than if the store had been there; it is dropped when it is too old, and at the end of the daemon. The order needs not be kept: an older date never replaces a younger one in the store.
 */
#ifndef POSTERN_MILTER_POPAUTH_KEPT_H
#define POSTERN_MILTER_POPAUTH_KEPT_H

#include "lib/base/log.h"
#include "lib/relay/relay_store.h"
#include "milter/eventloop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POPAUTH_KEPT_MAX 10000u
#define POPAUTH_KEPT_RETRY_MS 1000
#define POPAUTH_KEPT_PIECE 64u /* tried at once; a single one if the last attempt failed */

/* In the caller's storage; all zero but for `change` before it is added. */
struct popauth_kept_change {
    struct relay_change *change; /* its `done` is called for each attempt */
    int64_t until_ms;            /* the module's own, as is what follows */
    bool is_under_way;
    struct popauth_kept_change *next;
};

struct popauth_kept;

/* Called in the loop's thread. */
struct popauth_kept_owner {
    void (*attempt)(void *owner); /* some changes go to the store now, or are dropped */
    void (*dropped)(struct relay_change *change,
                    const char *why); /* it will not be tried any more */
    void *owner;
};

/* What is kept is dropped after `keep_ms`. All that is given must outlive it, but for `owner`, which is copied; `logger` may be NULL. */
struct popauth_kept *popauth_kept_new(struct eventloop *loop, struct relay_store *store,
                                      int64_t keep_ms, const struct popauth_kept_owner *owner,
                                      struct logger *logger);

/* What a reload has changed; for what is kept from now on. Safe for threads. */
void popauth_kept_configure(struct popauth_kept *kept, int64_t keep_ms);

/* Is there room for one that is not kept yet? Safe for threads. */
bool popauth_kept_has_room(struct popauth_kept *kept);

/*
 * The store could not take this change (STATUS_TEMPFAIL): keeps it, or goes on keeping it. False: there is no room, or the end has
 * come, and it is the caller's as before. For the store's thread.
 */
bool popauth_kept_add(struct popauth_kept *kept, struct popauth_kept_change *change,
                      const char *why);

/* The store has answered in another way. For changes that were never kept this does nothing. For the store's thread. */
void popauth_kept_settle(struct popauth_kept *kept, const struct popauth_kept_change *change,
                         bool was_granted);

/* Those that are kept now. Safe for threads. */
size_t popauth_kept_count(struct popauth_kept *kept);

/* In the loop's thread: nothing is kept any more; what is not with the store is dropped. */
void popauth_kept_finish(struct popauth_kept *kept);

/* When popauth_kept_finish() was called and the store is closed; NULL is legal. */
void popauth_kept_free(struct popauth_kept **kept);

#endif
