/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_server - a Redis server as the configuration names it: connections that are ready for use, and what its errors mean.
 *
 * Nothing here changes after relay_redis_server_new(): safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_SERVER_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_SERVER_H

#include "lib/base/strbuf.h"
#include "lib/relay/relay_redis_link.h"
#include "lib/relay/relay_redis_url.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>
#include <stdint.h>

struct relay_redis_server {
    struct relay_redis_url url;
    char *name; /* the URL as it was written: for people */
    char *password_file;
    char *ca_file;
    char *prefix;
    unsigned timeout_ms;
};

/* NULL: `why` says what is wrong with the options, or that this postern cannot do it. */
struct relay_redis_server *relay_redis_server_new(const struct relay_redis_options *options,
                                                  struct strbuf *why);
void relay_redis_server_free(struct relay_redis_server **server);

/* Until when an answer that is asked for now may take. */
int64_t relay_redis_server_deadline(const struct relay_redis_server *server);

/* A connection that is authenticated and has its database. NULL: `why` says why, without the server's name. */
struct relay_redis_link *relay_redis_server_connect(const struct relay_redis_server *server,
                                                    int64_t deadline_ms, struct strbuf *why);

/* Sends a command and waits for its answer, which is not of the kind RELAY_REDIS_ERROR. NULL: `why` says why; close the link. */
const struct relay_redis_reply *relay_redis_server_ask(struct relay_redis_link *link,
                                                       const struct strbuf *command,
                                                       int64_t deadline_ms, struct strbuf *why);

/*
 * Does the error mean that the server is of no use now (it loads its data, is a replica, wants another password), and not just that
 * it refuses one change (no memory, no disk)?
 */
bool relay_redis_server_is_lost(const char *error);

/* The error as people should read it: with what to do where that is not plain. */
void relay_redis_server_explain(const char *error, struct strbuf *why);

#endif
