/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/relay_gate.h"

#include <time.h>

static enum status find(void *ctx, const struct netaddr *client, struct relay_found *found_out)
{
    struct relay_gate *gate = ctx;
    enum status status = STATUS_TEMPFAIL;
    unsigned long withheld;

    (void)pthread_rwlock_rdlock(&gate->lock);
    if (gate->store != NULL) {
        status = relay_store_find(gate->store, client, (int64_t)time(NULL), found_out);
    }
    (void)pthread_rwlock_unlock(&gate->lock);
    if (status == STATUS_TEMPFAIL && ratelog_due(&gate->failures, &withheld)) {
        log_printf(gate->logger, LOG_LEVEL_ERROR,
                   "event=relay_store error=\"who logged in cannot be known now: nobody relays for "
                   "that\" withheld=%lu",
                   withheld);
    }
    return status;
}

static enum status charge(void *ctx, const struct netaddr *addr, unsigned limit)
{
    struct relay_gate *gate = ctx;
    enum status status = STATUS_TEMPFAIL;
    unsigned long withheld;

    (void)pthread_rwlock_rdlock(&gate->lock);
    if (gate->store != NULL) {
        status = relay_store_charge(gate->store, addr, limit, (int64_t)time(NULL));
    }
    (void)pthread_rwlock_unlock(&gate->lock);
    if (status == STATUS_TEMPFAIL && limit > 0 && ratelog_due(&gate->failures, &withheld)) {
        log_printf(gate->logger, LOG_LEVEL_ERROR,
                   "event=relay_store error=\"recipients_per_hour cannot be counted now: nobody "
                   "relays for a login\" withheld=%lu",
                   withheld);
    }
    return status;
}

static enum status find_nothing(void *ctx, const struct netaddr *client,
                                struct relay_found *found_out)
{
    (void)ctx;
    (void)client;
    (void)found_out;
    return STATUS_TEMPFAIL;
}

const struct relay_lookup relay_gate_closed = {.find = find_nothing};

void relay_gate_init(struct relay_gate *gate, struct logger *logger)
{
    *gate = (struct relay_gate){.lookup = {.find = find, .charge = charge, .ctx = gate},
                                .logger = logger};
    (void)pthread_rwlock_init(&gate->lock, NULL);
}

void relay_gate_set(struct relay_gate *gate, struct relay_store *store)
{
    (void)pthread_rwlock_wrlock(&gate->lock);
    gate->store = store;
    if (store != NULL) {
        gate->lookup.waits = relay_store_waits(store);
    }
    (void)pthread_rwlock_unlock(&gate->lock);
}
