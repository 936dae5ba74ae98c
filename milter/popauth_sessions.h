/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_sessions - keeps the entries of who is logged in alive: touches them in the store, a piece at a time, as long as sessions are
 * open; see relay_sessions.h.
 */
#ifndef POSTERN_MILTER_POPAUTH_SESSIONS_H
#define POSTERN_MILTER_POPAUTH_SESSIONS_H

#include "lib/base/log.h"
#include "lib/relay/relay_sessions.h"
#include "milter/eventloop.h"
#include "milter/popauth_line.h"

#include <stdbool.h>

#define POPAUTH_SESSIONS_PIECE 1000u

struct popauth_sessions;

/* An entry that was granted later is one too many of its user (relay_change.is_excess). In the store's thread. */
typedef void popauth_sessions_excess(void *owner, const struct relay_change *change, bool granted,
                                     size_t removed);

/* All that is given must outlive it; the terms are copied. */
struct popauth_sessions *popauth_sessions_new(struct eventloop *loop, struct relay_store *store,
                                              const struct relay_sessions_terms *terms,
                                              popauth_sessions_excess *excess, void *owner,
                                              struct logger *logger);

/* When popauth_sessions_finish() was called and the store is closed; NULL is legal. */
void popauth_sessions_free(struct popauth_sessions **sessions);

/* In the loop's thread: no more touches from now on. */
void popauth_sessions_finish(struct popauth_sessions *sessions);

/* What a reload has changed. Safe for threads; waits for the loop. */
void popauth_sessions_configure(struct popauth_sessions *sessions,
                                const struct relay_sessions_terms *terms);

/* In the loop's thread: a login goes to the store now. True: it is counted, and popauth_sessions_settle() must follow. */
bool popauth_sessions_begin(struct popauth_sessions *sessions, const struct popauth_line *login);

/* What became of it; as relay_sessions_settle(). Safe for threads. */
bool popauth_sessions_settle(struct popauth_sessions *sessions, const struct popauth_line *login,
                             enum relay_sessions_outcome outcome);

/* A logout. True: the window of *grant_out is to begin now; as relay_sessions_end(). Safe for threads. */
bool popauth_sessions_end(struct popauth_sessions *sessions, const struct popauth_line *logout,
                          struct relay_sessions_grant *grant_out);

/* What is counted. Lives as long as `sessions`. */
const struct relay_sessions *popauth_sessions_counted(const struct popauth_sessions *sessions);

#endif
