/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_find - the question whether a client may relay, as a command to a Redis server, and what its answer means.
 *
 * Values; no I/O.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_FIND_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_FIND_H

#include "lib/base/strbuf.h"
#include "lib/mail/netaddr.h"
#include "lib/relay/relay_redis_link.h"
#include "lib/relay/relay_redis_state.h"
#include "lib/relay/relay_store.h"

#include <stddef.h>
#include <stdint.h>

struct relay_redis_find {
    struct netaddr client;
    int64_t now; /* Unix time */
    unsigned window_minutes;
    struct relay_found *found_out; /* NULL: only whether */

    /* The addresses and networks whose entry may hold the client, longest first: of the command that was written last. */
    struct netaddr addrs[1 + RELAY_REDIS_LENGTHS_MAX];
    size_t count;
};

enum relay_redis_find_end {
    RELAY_REDIS_FIND_YES, /* *found_out is set */
    RELAY_REDIS_FIND_NO,
    RELAY_REDIS_FIND_AGAIN, /* another state counts now: *state_out has it, and the question is to be asked with that */
    RELAY_REDIS_FIND_NONSENSE,
};

/* Appends `MGET relay-state KEY...`. `scratch` is written over. */
void relay_redis_find_write(struct relay_redis_find *find, const char *prefix,
                            const struct relay_redis_state *state, struct strbuf *scratch,
                            struct strbuf *command);

/*
 * Reads the answer, which is no error, to a command that was written with `state`. A value that is none of postern's permits nothing, and the
 * server's own expiry is not relied on.
 */
enum relay_redis_find_end relay_redis_find_read(const struct relay_redis_find *find,
                                                const struct relay_redis_reply *reply,
                                                const struct relay_redis_state *state,
                                                struct relay_redis_state *state_out,
                                                struct strbuf *scratch);

#endif
