/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_queue - the requests of popauth_link.h in their order, each until it has ended.
 *
 * They are sent in rounds: a round begins with the first request that has not ended, and passes over those that have. Within a round the
 * answers come in the order of the requests. What is not done, and what must not have been done before it, is left for the next round.
 */
#ifndef POSTERN_CTL_POPAUTH_QUEUE_H
#define POSTERN_CTL_POPAUTH_QUEUE_H

#include "ctl/popauth_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct popauth_queue;

/* At most `most` requests. `ended` as for popauth_link_new(). */
struct popauth_queue *popauth_queue_new(size_t most, popauth_link_ended *ended, void *owner);

/* Sets the caller's pointer to NULL; NULL is legal. Nobody is called. */
void popauth_queue_free(struct popauth_queue **queue);

size_t popauth_queue_count(const struct popauth_queue *queue);
bool popauth_queue_is_full(const struct popauth_queue *queue);

/* As popauth_link_add(). */
void popauth_queue_add(struct popauth_queue *queue, const char *request, int64_t expires_at,
                       void *ctx, int64_t mark);

/* ---- sending ---- */

/*
 * The request that is to be sent next in this round; NULL: there is none. Those that are too old end instead, unless a part of it has been
 * sent already. It lives until the next call.
 */
const char *popauth_queue_next(struct popauth_queue *queue, bool is_begun);

/* It is on its way. */
void popauth_queue_sent(struct popauth_queue *queue);

/* How many are on their way. */
size_t popauth_queue_unanswered(const struct popauth_queue *queue);

/* ---- answers: to the one that is on its way for longest ---- */

/* True: a login was done. A logout that was done before its login is not done. */
bool popauth_queue_done(struct popauth_queue *queue);
void popauth_queue_refused(struct popauth_queue *queue, const char *why);

/* It is not done, and is left for the next round. */
void popauth_queue_retell(struct popauth_queue *queue);

/* How many are left for the next round. */
size_t popauth_queue_left(const struct popauth_queue *queue);

/* ---- rounds ---- */

/* Whatever was on its way is not. */
void popauth_queue_begin_round(struct popauth_queue *queue);

/* Before anything is sent in a round: ends the first ones, as long as they are too old. */
void popauth_queue_expire(struct popauth_queue *queue);

#endif
