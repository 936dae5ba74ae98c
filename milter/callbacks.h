/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * callbacks - the filter: protocol on one side, stages on the other.
 *
 * Copies what the MTA tells into struct session, calls stage_*(), and turns the verdict into an answer. Whatever cannot be
 * (a command without a session, a stage out of order, a reply that the engine does not take) ends as a temporary failure.
 */
#ifndef POSTERN_MILTER_CALLBACKS_H
#define POSTERN_MILTER_CALLBACKS_H

#include "milter/mfi.h"

#include <stdatomic.h>

struct logger;
struct resolver;
struct relay_lookup;
struct snapshot;
struct stats;

/* What an MTA can lack: each is said once. */
enum callbacks_told {
    CALLBACKS_TOLD_QUARANTINE,
    CALLBACKS_TOLD_DROP,
    CALLBACKS_TOLD_ADD_RECIPIENTS,
    CALLBACKS_TOLD_EDIT_HEADERS,
    CALLBACKS_TOLD_MACROS,
    CALLBACKS_TOLD,
};

/* What all sessions share: the owner that the functions of callbacks_filter() take. */
struct callbacks {
    struct snapshot *snapshot;
    struct logger *logger;
    struct stats *stats;
    struct resolver *resolver; /* for the questions of sessions; NULL: they ask none */
    const struct relay_lookup
        *relayers; /* whom sessions ask who logged in; NULL: nobody. Lives as long as they do */
    atomic_bool told[CALLBACKS_TOLD];
    atomic_bool
        sends_at_once; /* the MTA of the last session does not keep back steps without a reply */
};

/* The functions for an engine; their owner is a struct callbacks. */
const struct mfi_filter *callbacks_filter(void);

#endif
