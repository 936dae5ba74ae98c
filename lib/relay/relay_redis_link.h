/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_link - one connection to a Redis server, by hiredis (https://github.com/redis/hiredis): commands go out, answers come in, and nothing takes
 * longer than the caller allows or more memory than RELAY_REDIS_ANSWER_MAX.
 *
 * Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_LINK_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_LINK_H

#include "lib/base/strbuf.h"
#include "lib/relay/relay_redis_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes, and the parts, of the longest answer that is read. */
#define RELAY_REDIS_ANSWER_MAX (1u << 20)
#define RELAY_REDIS_PARTS_MAX 4096u

enum relay_redis_reply_kind {
    RELAY_REDIS_TEXT, /* of any bytes; followed by a NUL byte */
    RELAY_REDIS_ERROR,
    RELAY_REDIS_INTEGER,
    RELAY_REDIS_NIL,
    RELAY_REDIS_ARRAY,
};

struct relay_redis_reply {
    enum relay_redis_reply_kind kind;
    int64_t integer;
    const char *text;
    size_t len;
    struct relay_redis_reply **items; /* of an array */
    size_t count;
};

struct relay_redis_link;

/*
 * Connects until `deadline_ms` (monotonic clock; the name of a host is looked up before that counts). `ca_file` is for TLS; "": the system's. NULL:
 * `why` says why.
 */
struct relay_redis_link *relay_redis_link_open(const struct relay_redis_url *url,
                                               const char *ca_file, int64_t deadline_ms,
                                               struct strbuf *why);
/* NULL is legal. */
void relay_redis_link_close(struct relay_redis_link **link);

/* After a false or a NULL, of which `why` tells, the connection can only be closed. */
bool relay_redis_link_send(struct relay_redis_link *link, const struct strbuf *commands,
                           int64_t deadline_ms, struct strbuf *why);

/* The next answer; it lives until the next call. An error that the server answers is an answer. */
const struct relay_redis_reply *relay_redis_link_receive(struct relay_redis_link *link,
                                                         int64_t deadline_ms, struct strbuf *why);

/* Has the server ended a connection on which nobody waits for an answer (or said what nobody asked)? */
bool relay_redis_link_is_stale(const struct relay_redis_link *link);

/* Emptied texts for who uses the link: a command, and what an answer is read into. */
struct strbuf *relay_redis_link_command(struct relay_redis_link *link);
struct strbuf *relay_redis_link_scratch(struct relay_redis_link *link);

#endif
