/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_gate - the store for those who may still ask it when it is closed already: threads of milter sessions live until the
 * process ends.
 */
#ifndef POSTERN_MILTER_RELAY_GATE_H
#define POSTERN_MILTER_RELAY_GATE_H

#include "lib/base/log.h"
#include "lib/relay/relay_lookup.h"
#include "milter/ratelog.h"

#include <pthread.h>

struct relay_gate {
    struct relay_lookup
        lookup; /* asks the store that is open now; STATUS_TEMPFAIL, logged once a minute, if none is */
    pthread_rwlock_t lock; /* held for the time of a question */
    struct relay_store *store;
    struct logger *logger;
    struct ratelog failures;
};

/* Asked in place of a gate by a question that has waited for so long that it must not wait any more: nothing can be known. */
extern const struct relay_lookup relay_gate_closed;

/* A gate without a store, in storage that lives as long as the process. */
void relay_gate_init(struct relay_gate *gate, struct logger *logger);

/*
 * From now on `store` is asked; NULL: none. Waits until nobody asks the one of before, which the caller may then close. The first
 * one is set before anybody asks.
 */
void relay_gate_set(struct relay_gate *gate, struct relay_store *store);

#endif
