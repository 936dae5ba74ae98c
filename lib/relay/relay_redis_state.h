/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_state - which generation of entries counts, and which IPv6 networks may be among them: the value of the key relay-state (see
 * relay_redis_scripts.h), that every question brings along.
 *
 * Values; no I/O.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_STATE_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_STATE_H

#include "lib/base/strbuf.h"
#include "lib/relay/relay_entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_REDIS_LENGTHS_MAX (128u - RELAY_MIN_PREFIX) /* /48 to /127 */
#define RELAY_REDIS_STATE_MAX 400u
#define RELAY_REDIS_GENERATION_MAX 15u /* digits */

struct relay_redis_state {
    char text[RELAY_REDIS_STATE_MAX + 1];
    char generation[RELAY_REDIS_GENERATION_MAX + 1];
    uint8_t lengths[RELAY_REDIS_LENGTHS_MAX]; /* longest first */
    size_t count;
};

/* The state when there is no such key, and no entry. */
void relay_redis_state_init(struct relay_redis_state *state);

/* False: that is no state. */
bool relay_redis_state_parse(const char *text, size_t len, struct relay_redis_state *state_out);

/* Appends the name of an entry's key, without the configured prefix. */
void relay_redis_state_key(const struct relay_redis_state *state, const struct netaddr *addr,
                           struct strbuf *out);

#endif
