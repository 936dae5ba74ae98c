/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_pool - a few connections to one Redis server, that many threads use by turns.
 *
 * Who asks never connects: the store's thread does. At the first failure all connections are given up and all who ask or wait are told no at once, until the thread
 * has new ones: a server that does not answer costs one question the time that an answer may take, and not every one.
 *
 * Safe for threads, where nothing else is said.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_POOL_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_POOL_H

#include "lib/base/log.h"
#include "lib/relay/relay_redis_server.h"
#include "lib/relay/relay_redis_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_REDIS_LINKS_MAX 24u /* about as many as threads of sessions ask at once */

struct relay_redis_pool;

/* A connection that is the caller's until it is given back. */
struct relay_redis_loan {
    struct relay_redis_link *link;
    unsigned age;                   /* the pool's: which of its beginnings the link is from */
    struct relay_redis_state state; /* as it is known */
};

/*
 * A pool without connections; `server` must live longer, `logger` may be NULL. `wake` is called when there is something for the thread to do; it must not
 * call the pool.
 */
struct relay_redis_pool *relay_redis_pool_new(const struct relay_redis_server *server, size_t links,
                                              struct logger *logger, void (*wake)(void *ctx),
                                              void *ctx);
/* All loans are back. NULL is legal. */
void relay_redis_pool_free(struct relay_redis_pool **pool);

/* ---- for all who ask ---- */

/*
 * A connection, waiting for one until `deadline_ms` at most. False: there is none; relay_redis_pool_text() says why if the server is away.
 */
bool relay_redis_pool_take(struct relay_redis_pool *pool, int64_t deadline_ms,
                           struct relay_redis_loan *loan_out);

/* Back, for the next one. */
void relay_redis_pool_give(struct relay_redis_pool *pool, struct relay_redis_loan *loan);

/* Back, because it has failed: `why`. The server counts as away now. */
void relay_redis_pool_fail(struct relay_redis_pool *pool, struct relay_redis_loan *loan,
                           const char *why);

/* The state that an answer brought along. */
void relay_redis_pool_learn(struct relay_redis_pool *pool, const struct relay_redis_state *state);

/* A question could not be answered: that is counted, for the log. */
void relay_redis_pool_miss(struct relay_redis_pool *pool);

bool relay_redis_pool_is_away(struct relay_redis_pool *pool);

/* Why the server is away, with its name; "" if it is not. Cut to `size`. */
void relay_redis_pool_text(struct relay_redis_pool *pool, char *buf, size_t size);

/* ---- for the store's thread, or before there is one ---- */

/*
 * New connections for a server that is away, after having asked it whether it is well; `writes`: and whether it takes changes. False: it is still
 * away, and `why` says why.
 */
bool relay_redis_pool_open(struct relay_redis_pool *pool, bool writes, struct strbuf *why);

/* Asks on connections that nobody has used for some time whether the server is there, and replaces those that it has ended. */
void relay_redis_pool_tend(struct relay_redis_pool *pool);

#endif
