/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_question - what a store is asked, asked of a Redis server: one round trip each. Whether a client may relay is asked in
 * relay_redis_rounds.
 *
 * Safe for threads. STATUS_TEMPFAIL: the server is away, does not answer in time, or its answer makes no sense.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_QUESTION_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_QUESTION_H

#include "lib/relay/relay_redis_pool.h"
#include "lib/relay/relay_redis_server.h"
#include "lib/relay/relay_store.h"

#include <stddef.h>
#include <stdint.h>

/* Whom to ask. */
struct relay_redis_asked {
    const struct relay_redis_server *server;
    struct relay_redis_pool *pool;
};

/* As relay_store_charge(). */
enum status relay_redis_question_charge(const struct relay_redis_asked *asked,
                                        const struct netaddr *addr, unsigned limit);

/* How many entries are younger than the window (0: all). */
enum status relay_redis_question_count(const struct relay_redis_asked *asked, int64_t now,
                                       unsigned window_minutes, size_t *count_out);

/* As relay_store_walk(); an entry may be visited twice if others are added meanwhile. */
bool relay_redis_question_walk(const struct relay_redis_asked *asked, size_t *cursor,
                               relay_store_visit *visit, void *ctx);

#endif
