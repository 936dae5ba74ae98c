/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nudge - keeps connections moving while callbacks wait.
 *
 * A libmilter with a pool of workers (Debian's) gives a command to "an idle worker" as long as it counts one, also if that worker has been
 * given another one and has not woken up yet. If the first command then waits, the second one stays behind it, until some
 * worker is done or ten seconds are over. A new connection finds no idle worker, gets a new one, and that looks for commands
 * that were left when its own is done. So while callbacks wait for long, this connects to our own socket and closes the connection at
 * once, again and again.
 */
#ifndef POSTERN_MILTER_NUDGE_H
#define POSTERN_MILTER_NUDGE_H

struct nudge;

/*
 * For the socket that `listen` names (unix:PATH, local:PATH, inet:PORT@HOST, inet6:PORT@HOST). Starts a thread, which sleeps until somebody
 * waits and lives as long as the process. NULL: it cannot be; all other functions take that.
 */
struct nudge *nudge_start(const char *listen);

/* A callback begins to wait, and is given a ticket; it waits no longer, and gives that back. Any thread. */
unsigned nudge_begin(struct nudge *nudge);
void nudge_end(struct nudge *nudge, unsigned ticket);

#endif
