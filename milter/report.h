/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * report - what the control socket answers, as JSON. Every object has "version": 1.
 */
#ifndef POSTERN_MILTER_REPORT_H
#define POSTERN_MILTER_REPORT_H

#include "milter/reload.h"
#include "milter/snapshot.h"
#include "milter/stats.h"

#include <stdint.h>

struct resolver;
struct relay_store;
struct popauth;

/* What the answers speak of. */
struct report {
    struct snapshot *snapshot;
    struct reload *reload;
    struct stats *stats;
    struct resolver *resolver;
    int64_t started;                 /* CLOCK_MONOTONIC, seconds */
    struct relay_store *relay_store; /* NULL: none */
    struct popauth *popauth;         /* NULL: nobody tells of logins */
};

/*
 * The answer to "status", "stats", "reload" (which it carries out) or what relay_requests and relay_report know, or {"error": ...} for anything else. free() it. A
 * control_handler, the owner being a struct report.
 */
char *report_answer(void *report, const char *request, int descriptor);

#endif
