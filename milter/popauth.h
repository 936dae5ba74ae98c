/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth - where POP and IMAP servers say who logged in: one line a request, one answer each.
 *
 *     login ADDR [user=U] [service=S] [session=ID] [keep=no]     ADDR logged in just now; with an ID, its window will not end before the logout
 *     logout ADDR [session=ID] [...]                   that session is over: if it was the last of ADDR, the window begins now
 *     add ADDR [...]                                   an address or IPv6 network that may relay for another reason
 *
 * Words are as relay_entry_format_value() writes them; unknown ones are skipped. `ok` comes when the address is on the
 * disk, else `err TEXT`. Nothing can be asked, removed or seen here. Requests that arrive together share one write to the
 * disk.
 *
 * `err temporary: TEXT`: the store is away. The login (or the date of a logout) is kept, and recorded as soon as that can be done: by its
 * session while that is open, else by popauth_kept.h. With keep=no a login is not kept: who tells it will tell it again.
 *
 * A line that begins with '{' is an event as popauth_event.h reads them. Who sends events reads no answers, so there are none.
 */
#ifndef POSTERN_MILTER_POPAUTH_H
#define POSTERN_MILTER_POPAUTH_H

#include "lib/base/log.h"
#include "lib/relay/relay_sessions.h"
#include "milter/eventloop.h"

struct popauth;
struct relay_store;

#define POPAUTH_MAX_LINE 2048u /* bytes, with the newline */
#define POPAUTH_MAX_CLIENTS 512u
#define POPAUTH_MAX_UNANSWERED 64u
#define POPAUTH_REQUEST_MS 5000
#define POPAUTH_MAY_PASS "err temporary: "

/* Serves `listen_fd`, which does not block and is its own from now on. */
struct popauth *popauth_start(struct eventloop *loop, int listen_fd, struct relay_store *store,
                              const struct relay_sessions_terms *terms, struct logger *logger);

/* What a reload has changed. Safe for threads; waits for the loop. */
void popauth_configure(struct popauth *popauth, const struct relay_sessions_terms *terms);

struct popauth_stats {
    struct relay_sessions_stats sessions; /* that are open */
    size_t kept;       /* logins that wait for the store, without an open session */
    uint64_t refused;  /* lines and events that were not understood, since the start */
    uint64_t ignored;  /* events that are no login and no logout */
    uint64_t excesses; /* logins from more addresses than the user may have */
};

/* Safe for threads. */
void popauth_stats(const struct popauth *popauth, struct popauth_stats *stats_out);

/* How many sessions are open whose entry in the store is this one. Safe for threads. */
size_t popauth_open_at(const struct popauth *popauth, const struct netaddr *entry);

/* No new clients. */
void popauth_close_socket(struct popauth *popauth);

/* No new requests: the store has all that were taken, and may be closed. Their answers will still be sent. */
void popauth_finish(struct popauth *popauth);

/* After popauth_finish() and when the store is closed: sends the answers that are there and frees all. NULL is legal. */
void popauth_stop(struct popauth **popauth);

#endif
