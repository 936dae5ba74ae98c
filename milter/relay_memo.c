/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/relay_memo.h"

#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum status find(void *ctx, const struct netaddr *client, struct relay_found *found_out)
{
    struct relay_memo *memo = ctx;
    bool is_fresh = memo->is_known && now_ms() - memo->asked_at < RELAY_MEMO_MS;

    if (!is_fresh || !netaddr_equal(&memo->client, client)) {
        memo->status = memo->asked->find(memo->asked->ctx, client, &memo->found);
        memo->client = *client;
        memo->asked_at = now_ms();
        /* A failure is no answer: the next one may be. */
        memo->is_known = memo->status == STATUS_OK || memo->status == STATUS_NOTFOUND;
    }
    if (memo->status == STATUS_OK && found_out != NULL) {
        *found_out = memo->found;
    }
    return memo->status;
}

static enum status charge(void *ctx, const struct netaddr *addr, unsigned limit)
{
    struct relay_memo *memo = ctx;

    return memo->asked->charge(memo->asked->ctx, addr, limit);
}

const struct relay_lookup *relay_memo_init(struct relay_memo *memo,
                                           const struct relay_lookup *asked)
{
    *memo = (struct relay_memo){.asked = asked};
    if (asked == NULL || !asked->waits) {
        return asked;
    }
    memo->lookup = (struct relay_lookup){
        .find = find,
        .charge = asked->charge != NULL ? charge : NULL,
        .ctx = memo,
        .waits = true,
    };
    return &memo->lookup;
}

void relay_memo_forget(struct relay_memo *memo)
{
    memo->is_known = memo->is_known && memo->status == STATUS_OK;
}
