/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_requests - what posternctl asks the daemon about its store of addresses that may relay.
 *
 *     relay walk CURSOR      some entries, as lines of text, and where to go on; CURSOR begins with 0
 *     relay check ADDRESS    may it relay, and how many sessions are open there?
 *     relay add ADDRESS VALUE, relay remove ADDRESS, relay expire [MINUTES]
 *     relay load             a text that came along in a file in memory; replaces all
 *
 * Answers have "result": ok, notfound, invalid or tempfail, with "reason" when it is not ok, and "count" of what was removed or loaded.
 * A walk of a million entries costs the daemon one page of text at a time.
 */
#ifndef POSTERN_MILTER_RELAY_REQUESTS_H
#define POSTERN_MILTER_RELAY_REQUESTS_H

#include "lib/base/log.h"
#include "lib/policy/config.h"
#include "lib/relay/relay_store.h"

#include <jansson.h>

/* Requests begin with this. */
#define RELAY_REQUESTS_PREFIX "relay "

struct popauth;

/*
 * Carries out a request, which waits for the disk: not for the thread of an event loop. Changes are logged. `store` and `popauth` may be NULL,
 * `descriptor` -1. Safe for threads.
 */
json_t *relay_requests_answer(struct relay_store *store, const struct popauth *popauth,
                              const struct config_relay_store *config, struct logger *logger,
                              const char *request, int descriptor);

#endif
