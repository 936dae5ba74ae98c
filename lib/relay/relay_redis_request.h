/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_request - the command by which a Redis server makes one change.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_REQUEST_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_REQUEST_H

#include "lib/base/strbuf.h"
#include "lib/relay/relay_store.h"
#include "lib/relay/relay_writer.h"

/*
 * Appends the command of a change: RELAY_LOGIN, RELAY_ADD, RELAY_MERGE (of a sound entry), RELAY_TOUCH or RELAY_REMOVE. `entry` is the change's, with the
 * address for which it is to be recorded.
 */
void relay_redis_request_write(const char *prefix, enum relay_change_kind kind,
                               const struct relay_entry *entry,
                               const struct relay_settings *settings, struct strbuf *out);

/* Appends the user as keys and scripts know him: encoded as in a value, in lower case; nothing if there is none. */
void relay_redis_request_user(const struct relay_entry *entry, struct strbuf *out);

#endif
