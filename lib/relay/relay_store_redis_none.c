/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_store_redis.h"

#define LACKS                                                                                   \
    "this postern was built without Redis: build it with hiredis (configure --with-redis), or " \
    "write backend = \"gdbm\""

const char *relay_store_redis_lacks(const struct relay_redis_url *url)
{
    (void)url;
    return LACKS;
}

struct relay_store *relay_store_redis_open(const struct relay_store_options *options,
                                           struct strbuf *why)
{
    (void)options;
    strbuf_append(why, LACKS);
    return NULL;
}

struct relay_store *relay_store_redis_read(const struct relay_store_options *options,
                                           struct strbuf *why)
{
    return relay_store_redis_open(options, why);
}
