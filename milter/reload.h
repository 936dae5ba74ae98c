/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reload - new rules for a daemon that runs.
 *
 * A new ruleset is made beside the current one; any error keeps the old one. One reload happens at a time, whoever asks for it:
 * a signal, the control socket, or the watch for maps that were renamed into place.
 */
#ifndef POSTERN_MILTER_RELOAD_H
#define POSTERN_MILTER_RELOAD_H

#include "lib/base/diag.h"
#include "lib/base/log.h"
#include "milter/snapshot.h"
#include "milter/stats.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

struct config;
struct popauth;
struct resolver;
struct relay_store;

struct reload {
    pthread_mutex_t lock; /* one at a time; also guards loaded_at */
    struct snapshot *snapshot;
    const struct config
        *started; /* with what the daemon started: its sockets and user stay those */
    struct logger *logger;
    struct stats *stats;
    struct resolver *resolver; /* gets other servers and limits with other rules */
    struct relay_store *
        relay_store; /* set later by who has one, before anybody can ask for a reload; NULL: none */
    struct popauth *popauth; /* likewise */
    time_t loaded_at;
};

/* All that is given must outlive the reload. */
void reload_init(struct reload *reload, const struct config *started, struct snapshot *snapshot,
                 struct resolver *resolver, struct logger *logger, struct stats *stats);
void reload_fini(struct reload *reload);

/*
 * Reads everything anew. Each error and warning is logged, and also goes to `asker` (which may be NULL). False: there was an
 * error, and the old rules stay.
 */
bool reload_run(struct reload *reload, struct diag *asker);

/* Takes maps that were renamed into place, came or went. Cheap if there are none. */
void reload_refresh(struct reload *reload);

/* Probes DNS lists that are due. To be called each second or so; never waits for an answer. */
void reload_probe_lists(struct reload *reload);

/* When the current rules were read. */
time_t reload_time(struct reload *reload);

/* A sink that writes items to the logger that is ctx. */
void reload_log_item(void *ctx, const struct diag_item *item);

#endif
