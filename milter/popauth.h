/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth - where POP and IMAP servers say who logged in: one line a request, one answer each.
 *
 *     login ADDR [user=U] [service=S] [session=ID]     ADDR logged in just now
 *     logout ADDR [...]                                checked, and changes nothing: the window runs from the login
 *     add ADDR [...]                                   an address or IPv6 network that may relay for another reason
 *
 * Words are as relay_entry_format_value() writes them; unknown ones are skipped. `ok` comes when the address is on the
 * disk, else `err TEXT`. Nothing can be asked, removed or seen here. Requests that arrive together share one write to the
 * disk.
 */
#ifndef POSTERN_MILTER_POPAUTH_H
#define POSTERN_MILTER_POPAUTH_H

#include "lib/base/log.h"
#include "milter/eventloop.h"

struct popauth;
struct relay_store;

#define POPAUTH_MAX_LINE 2048u /* bytes, with the newline */
#define POPAUTH_MAX_CLIENTS 512u
#define POPAUTH_MAX_UNANSWERED 64u
#define POPAUTH_REQUEST_MS 5000
#define POPAUTH_LINES_A_SECOND 50u /* in the log; further ones are counted */

/* Serves `listen_fd`, which does not block and is its own from now on. */
struct popauth *popauth_start(struct eventloop *loop, int listen_fd, struct relay_store *store,
                              struct logger *logger);

/* No new clients. */
void popauth_close_socket(struct popauth *popauth);

/* No new requests: the store has all that were taken, and may be closed. Their answers will still be sent. */
void popauth_finish(struct popauth *popauth);

/* After popauth_finish() and when the store is closed: sends the answers that are there and frees all. NULL is legal. */
void popauth_stop(struct popauth **popauth);

#endif
