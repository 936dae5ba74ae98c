/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_url - where a Redis server is, as postern.conf(5) says it.
 *
 *   redis://[USER@]HOST[:PORT][/DB]    rediss://... (TLS)    unix:/PATH[?db=N][&user=USER]
 *
 * An IPv6 address stands in brackets. Values; no I/O, safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_URL_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_URL_H

#include <stdbool.h>

#define RELAY_REDIS_HOST_MAX 253u
#define RELAY_REDIS_USER_MAX 127u
#define RELAY_REDIS_PATH_MAX 107u /* what the address of a unix socket has room for: unix(7) */
#define RELAY_REDIS_PORT 6379u
#define RELAY_REDIS_DB_MAX 65535u

enum relay_redis_kind { RELAY_REDIS_TCP, RELAY_REDIS_TLS, RELAY_REDIS_UNIX };

struct relay_redis_url {
    enum relay_redis_kind kind;
    char host[RELAY_REDIS_HOST_MAX + 1]; /* a name or an address, without brackets */
    char path[RELAY_REDIS_PATH_MAX + 1]; /* of a unix socket */
    char user[RELAY_REDIS_USER_MAX + 1]; /* "": the server's default user */
    unsigned port;
    unsigned db;
};

/* False: *why_out says what is wrong with the text. */
bool relay_redis_url_parse(const char *text, struct relay_redis_url *url_out, const char **why_out);

#endif
