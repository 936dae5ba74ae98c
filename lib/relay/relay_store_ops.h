/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_store_ops - what a kind of store must be able to do; for relay_store.c and the kinds alone.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_STORE_OPS_H
#define POSTERN_LIB_RELAY_RELAY_STORE_OPS_H

#include "lib/relay/relay_store.h"

/* Each as the function of relay_store.h that has its name. */
struct relay_store_ops {
    bool waits; /* for relay_store_waits() */
    void (*close)(struct relay_store *store);
    void (*configure)(struct relay_store *store, const struct relay_terms *terms);
    enum status (*find)(const struct relay_store *store, const struct netaddr *client, int64_t now,
                        struct relay_found *found_out);
    /* Never with `limit` 0. NULL: nobody else counts, so `usage` decides. */
    enum status (*charge)(struct relay_store *store, const struct netaddr *addr, unsigned limit,
                          int64_t now);
    bool (*walk)(const struct relay_store *store, size_t *cursor, relay_store_visit *visit,
                 void *ctx);
    void (*stats)(const struct relay_store *store, struct relay_store_stats *stats_out);
    void (*submit)(struct relay_store *store, struct relay_change *changes);
};

/* The first member of each kind. */
struct relay_store {
    const struct relay_store_ops *ops;
    struct relay_usage *usage; /* relay_store.c's own */
};

#endif
