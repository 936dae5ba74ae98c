/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_changes - makes changes in a Redis server: those that come together are sent together, and each is told when the server has answered.
 *
 * For one thread, the store's.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_CHANGES_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_CHANGES_H

#include "lib/relay/relay_batch.h"
#include "lib/relay/relay_redis_question.h"
#include "lib/relay/relay_store.h"
#include "lib/relay/relay_trouble.h"
#include "lib/relay/relay_writer.h"

struct relay_redis_changes;

/* What is pointed to must live longer. */
struct relay_redis_changes *relay_redis_changes_new(const struct relay_redis_asked *asked,
                                                    struct relay_trouble *trouble,
                                                    struct relay_counts *counts,
                                                    const struct relay_settings *settings);
void relay_redis_changes_free(struct relay_redis_changes **changes);

/* Makes the changes of a list, in their order, and tells each when it is done or has failed. */
void relay_redis_changes_take(struct relay_redis_changes *changes, struct relay_change *list);

/* Tells all of a list that the server is away. */
void relay_redis_changes_refuse(struct relay_redis_changes *changes, struct relay_change *list);

#endif
