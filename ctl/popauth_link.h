/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_link - requests to the socket where logins are reported, many on their way at once, each until it is answered.
 *
 * The daemon may go away: what was not answered is sent again when it is back, so that no request is lost, and one may be done twice. What it
 * cannot do now ("err temporary: ...") is sent again after a pause, which grows, and until then nothing else is: a logout is done after its
 * login. Nothing waits here; the owner polls.
 */
#ifndef POSTERN_CTL_POPAUTH_LINK_H
#define POSTERN_CTL_POPAUTH_LINK_H

#include "lib/base/log.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct popauth_link;

/* How a request ended. */
enum popauth_end {
    POPAUTH_DONE,    /* "ok" */
    POPAUTH_REFUSED, /* "err ...", for good */
    POPAUTH_EXPIRED, /* it got too old before it could be sent, or done */
};

/* Called once for each request, in their order. `text` is the daemon's, or "". */
typedef void popauth_link_ended(void *owner, void *ctx, int64_t mark, enum popauth_end end,
                                const char *request, const char *text);

/* At most `most` requests are kept. `socket` must outlive it. */
struct popauth_link *popauth_link_new(const char *socket, size_t most, popauth_link_ended *ended,
                                      void *owner, struct logger *logger);

/* Sets the caller's pointer to NULL; NULL is legal. What is not answered is forgotten, and nobody called. */
void popauth_link_free(struct popauth_link **link);

/* No room for another request. */
bool popauth_link_is_full(const struct popauth_link *link);
size_t popauth_link_count(const struct popauth_link *link);

/*
 * Adds a request (a line with its newline; copied). `ctx` and `mark` are for the call. It is not sent any more after `expires_at`, in
 * milliseconds of CLOCK_BOOTTIME.
 */
void popauth_link_add(struct popauth_link *link, const char *request, int64_t expires_at, void *ctx,
                      int64_t mark);

/* What to wait for; a descriptor of -1 is left out by poll(). Returns how long at most, in milliseconds; -1: for ever. */
int popauth_link_prepare(struct popauth_link *link, struct pollfd *poll_out);

/* After each wait: connects, sends, and reads answers. */
void popauth_link_work(struct popauth_link *link, short events);

#endif
