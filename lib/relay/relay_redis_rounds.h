/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_rounds - whether clients may relay, asked of a Redis server: who asks while others wait for an answer asks together with them.
 *
 * One round trip is on its way. What is asked meanwhile is collected, and goes out in one piece as soon as that is back: under load one
 * system call here and one on the server do for many questions. If it takes long, another one begins beside it: nobody waits for longer than an
 * answer may take, and a server that is slow is not taken for one that is lost because questions waited for one another.
 *
 * Safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_ROUNDS_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_ROUNDS_H

#include "lib/relay/relay_redis_question.h"

struct relay_redis_rounds;

/* `asked` must outlive it. */
struct relay_redis_rounds *relay_redis_rounds_new(const struct relay_redis_asked *asked);

/* Nobody asks any more. Sets the caller's pointer to NULL; NULL is legal. */
void relay_redis_rounds_free(struct relay_redis_rounds **rounds);

/* As relay_store_find(). STATUS_TEMPFAIL: the server is away, does not answer in time, or its answer makes no sense. */
enum status relay_redis_rounds_find(struct relay_redis_rounds *rounds, const struct netaddr *client,
                                    int64_t now, unsigned window_minutes,
                                    struct relay_found *found_out);

#endif
