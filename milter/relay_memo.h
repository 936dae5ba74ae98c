/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_memo - who logged in, asked once for all recipients of a message, where asking may wait for a server. Who may relay may do so for the
 * session's next message, too, if that comes within the second.
 *
 * For one session, whose commands come one after the other.
 */
#ifndef POSTERN_MILTER_RELAY_MEMO_H
#define POSTERN_MILTER_RELAY_MEMO_H

#include "lib/relay/relay_lookup.h"

#include <stdbool.h>
#include <stdint.h>

/* An answer is not used any longer than this: a window ends to the second. */
#define RELAY_MEMO_MS 1000

struct relay_memo {
    struct relay_lookup lookup;
    const struct relay_lookup *asked;
    bool is_known; /* what follows */
    struct netaddr client;
    int64_t asked_at; /* milliseconds of the monotonic clock */
    enum status status;
    struct relay_found found;
};

/* Whom the session is to ask: the memo, or `asked` itself if that never waits, or is NULL. Both must outlive the session. */
const struct relay_lookup *relay_memo_init(struct relay_memo *memo,
                                           const struct relay_lookup *asked);

/* The message has ended: who may not relay now may have logged in before the next one. */
void relay_memo_forget(struct relay_memo *memo);

#endif
