/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_news - what the log hears of a Redis server that goes away and comes back: the loss and why, another reason if that lasts, and the
 * return.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_NEWS_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_NEWS_H

#include "lib/base/log.h"

#include <stdbool.h>
#include <stdint.h>

#define RELAY_REDIS_NEWS_SIZE 512u
#define RELAY_REDIS_NEWS_MS \
    15000 /* a reason that comes sooner than this after another one is not told */

struct relay_redis_news {
    struct logger *logger;            /* may be NULL */
    const char *server;               /* its name */
    char told[RELAY_REDIS_NEWS_SIZE]; /* the last reason */
    int64_t told_ms;
};

/*
 * Is the log to hear this reason? Always of a loss; while the server stays away if it is another one than the last. If so it counts as told.
 * Not safe for threads.
 */
bool relay_redis_news_is_due(struct relay_redis_news *news, const char *why, bool is_loss,
                             int64_t now_ms);

/* Both are safe for threads. */
void relay_redis_news_lost(const struct relay_redis_news *news, const char *why);
void relay_redis_news_returned(const struct relay_redis_news *news, int64_t away_ms,
                               unsigned long missed);

#endif
