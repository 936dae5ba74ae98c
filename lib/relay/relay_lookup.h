/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_lookup - whom a session asks whether its client logged in: a store, or (posternctl explain) a daemon that has one.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_LOOKUP_H
#define POSTERN_LIB_RELAY_RELAY_LOOKUP_H

#include "lib/base/status.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>

struct relay_lookup {
    /* As relay_store_find() at this moment. */
    enum status (*find)(void *ctx, const struct netaddr *client, struct relay_found *found_out);
    /* As relay_store_charge() at this moment. NULL: who asks is only curious, and nothing is counted. */
    enum status (*charge)(void *ctx, const struct netaddr *addr, unsigned limit);
    void *ctx;
    bool waits; /* as relay_store_waits() */
};

#endif
