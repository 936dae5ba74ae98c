/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_sessions - from which address a session was opened: for logs that tell of its end without an address.
 *
 * A session is its id and its address: an id may be no more than a port of the client. An end without an address is that of the youngest
 * session with its id.
 *
 * A bounded number; the oldest make room. Values are kept in a text that outlives the program, one a line: `SESSION ADDRESS
 * SERVICE`, without the last if it has no name.
 *
 * Where several processes write a log, the end of a short session may stand before its begin. Such an end is remembered for a while.
 */
#ifndef POSTERN_CTL_WATCH_SESSIONS_H
#define POSTERN_CTL_WATCH_SESSIONS_H

#include "lib/base/strbuf.h"
#include "lib/mail/netaddr.h"
#include "lib/relay/login_patterns.h"

#include <stdbool.h>
#include <stddef.h>

#define WATCH_SESSIONS_EARLY 1000u    /* ends that are remembered */
#define WATCH_SESSIONS_EARLY_MS 10000 /* how long */

struct watch_sessions;

struct watch_sessions *watch_sessions_new(size_t most);

/* Sets the caller's pointer to NULL; NULL is legal. */
void watch_sessions_free(struct watch_sessions **sessions);

/*
 * Remembers a session (a word, not empty); a second one of the same name and address takes the place of the first. False: its end has been
 * seen just before, and nothing is remembered.
 */
bool watch_sessions_add(struct watch_sessions *sessions, const char *session,
                        const struct netaddr *addr, const char *service);

/* A session ends; *addr becomes its address if it is NETADDR_NONE. False: it is not known, or not yet: this may be an end that came first. */
bool watch_sessions_take(struct watch_sessions *sessions, const char *session,
                         struct netaddr *addr);

/* The oldest session of a service ends; says which it was. False: there is none. */
bool watch_sessions_take_oldest(struct watch_sessions *sessions, const char *service,
                                char session_out[LOGIN_SESSION_MAX + 1], struct netaddr *addr_out);

/* Forgets a session that has ended: this is known where it must be, and the text needs not have it any more. */
void watch_sessions_settle(struct watch_sessions *sessions, const char *session,
                           const struct netaddr *addr);

/* How many are open. */
size_t watch_sessions_count(const struct watch_sessions *sessions);

/* Appends all, oldest first, with those that have ended and are not settled. */
void watch_sessions_save(const struct watch_sessions *sessions, struct strbuf *out);

/* Adds those of such a text; lines that are none are left out. */
void watch_sessions_restore(struct watch_sessions *sessions, const char *text);

#endif
