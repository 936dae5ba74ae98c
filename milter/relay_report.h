/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_report - what the daemon knows of its store of addresses that may relay, in numbers: for status and for "relay stats".
 */
#ifndef POSTERN_MILTER_RELAY_REPORT_H
#define POSTERN_MILTER_RELAY_REPORT_H

#include "lib/policy/config.h"
#include "lib/relay/relay_store.h"

#include <jansson.h>

#define RELAY_REPORT_REQUEST "relay stats"

struct popauth;

/* What is told about; store and popauth may be NULL. The store was opened as `started` says; `config` is in force. */
struct relay_report {
    const struct relay_store *store;
    struct popauth *popauth;
    const struct config_relay_store *started;
    const struct config_relay_store *config;
};

/*
 * The store's part of the status. What takes a walk through all entries is left out if the store is another process that would be
 * kept busy by it. Reads the whole store else: not for the thread of an event loop. Safe for threads.
 */
json_t *relay_report_status(const struct relay_report *report);

/* The answer to "relay stats": {"version", "result", "relay_store"}, the last with all that there is. As relay_report_status(). */
json_t *relay_report_stats(const struct relay_report *report);

#endif
