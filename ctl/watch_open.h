/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_open - which sessions are open, as the lines of a log tell, and whether the log tells of their ends at all.
 *
 * A session without an end keeps its grant for session_max_hours. There are servers that name a session when it begins and not when it ends,
 * which depends on their version and how they are configured. So the sessions of a service count as long as ends are seen: without any,
 * further logins are told without their session, whose window begins at once, and what is open is ended. The next end that names a
 * session has sessions counted again.
 */
#ifndef POSTERN_CTL_WATCH_OPEN_H
#define POSTERN_CTL_WATCH_OPEN_H

#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "lib/relay/login_patterns.h"

#include <stdbool.h>
#include <stddef.h>

#define WATCH_OPEN_FIRST 20u   /* logins of a service of which no end was ever seen */
#define WATCH_OPEN_LATER 1000u /* logins since its last end */

struct watch_open;

/* For `most` sessions at most. The logger is told when a service's sessions count no longer, and when they do again. */
struct watch_open *watch_open_new(size_t most, struct logger *logger);

/* Sets the caller's pointer to NULL; NULL is legal. */
void watch_open_free(struct watch_open **open);

/*
 * Takes what a line says, completes the address of a logout, and takes the session out of a login whose session does not count.
 * Returns why nobody is to be told of it, which lives for ever; NULL: it is to be told.
 */
const char *watch_open_follow(struct watch_open *open, struct login_found *found);

/* A session that is open and does not count any more: the daemon is to be told of its end. False: there is none. */
bool watch_open_next_end(struct watch_open *open, struct login_found *found_out);

/* The daemon knows of the end of a session: until then the text keeps it, so that its end can be told by another program. */
void watch_open_settle(struct watch_open *open, const char *session, const struct netaddr *addr);

size_t watch_open_count(const struct watch_open *open);

/* Appends a text that outlives the program: the sessions, and of which services ends were seen. */
void watch_open_save(const struct watch_open *open, struct strbuf *out);

/* Adds what such a text says; lines that are wrong are left out. */
void watch_open_restore(struct watch_open *open, const char *text);

#endif
