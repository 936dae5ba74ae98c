/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_upkeep - what a daemon does in a Redis server when nobody asks: it throws out what is over, and has entries expire as the window
 * says now.
 *
 * For one thread, the store's; in pieces, so that changes need not wait for long.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_UPKEEP_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_UPKEEP_H

#include "lib/relay/relay_batch.h"
#include "lib/relay/relay_redis_question.h"
#include "lib/relay/relay_trouble.h"
#include "lib/relay/relay_writer.h"

#include <stdbool.h>

struct relay_redis_upkeep;

/* What is pointed to must live longer. */
struct relay_redis_upkeep *relay_redis_upkeep_new(const struct relay_redis_asked *asked,
                                                  struct relay_trouble *trouble,
                                                  struct relay_counts *counts,
                                                  const struct relay_settings *settings);
void relay_redis_upkeep_free(struct relay_redis_upkeep **upkeep);

/* The window may be another than before: the expiry of all entries is to be set anew. */
void relay_redis_upkeep_renew(struct relay_redis_upkeep *upkeep);

/* Does what is due, or a piece of it. */
void relay_redis_upkeep_step(struct relay_redis_upkeep *upkeep);

/* Is there more to do at once? */
bool relay_redis_upkeep_is_busy(const struct relay_redis_upkeep *upkeep);

#endif
