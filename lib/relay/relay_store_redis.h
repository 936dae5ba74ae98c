/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_store_redis - the store that several hosts share: the entries are in a Redis (or Valkey) server, and in no memory here.
 *
 * Where postern is built without hiredis, relay_store_redis_none.c takes the place of relay_store_redis.c.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_STORE_REDIS_H
#define POSTERN_LIB_RELAY_RELAY_STORE_REDIS_H

#include "lib/relay/relay_redis_url.h"
#include "lib/relay/relay_store.h"

/* As relay_store_open() and relay_store_read(). */
struct relay_store *relay_store_redis_open(const struct relay_store_options *options,
                                           struct strbuf *why);
struct relay_store *relay_store_redis_read(const struct relay_store_options *options,
                                           struct strbuf *why);

/* What this postern was built without, so that it cannot use such a server (NULL: any server): for people. NULL: nothing. */
const char *relay_store_redis_lacks(const struct relay_redis_url *url);

#endif
