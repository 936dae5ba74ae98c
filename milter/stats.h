/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stats - what the daemon counted since it started. All counters are atomic and only ever added to by callbacks.
 */
#ifndef POSTERN_MILTER_STATS_H
#define POSTERN_MILTER_STATS_H

#include "lib/policy/header_edit.h"
#include "lib/policy/verdict.h"

#include <stdatomic.h>
#include <stdint.h>

enum stats_stage {
    STATS_CONNECT,
    STATS_HELO,
    STATS_MAIL,
    STATS_RCPT,
    STATS_EOH,
    STATS_EOM,
    STATS_STAGES,
};

#define STATS_KINDS (VERDICT_DROP + 1)
#define STATS_EDITS (HEADER_EDIT_WARN + 1)

struct stats {
    atomic_uint_least64_t sessions; /* begun */
    atomic_uint_least64_t messages; /* that came to their end */
    atomic_uint_least64_t aborted;  /* that did not */
    atomic_uint_least64_t verdicts[STATS_STAGES][STATS_KINDS];
    atomic_uint_least64_t edits[STATS_EDITS]; /* what header rules changed or had logged */
    atomic_uint_least64_t
        internal_failures; /* answered 4xx because of the daemon or the MTA, not of a rule */
    atomic_uint_least64_t reloads;
    atomic_uint_least64_t reloads_refused;
    atomic_uint_least64_t map_changes; /* noticed without a reload */
    atomic_int_least64_t sessions_open;
    atomic_int_least64_t messages_open;
};

/* "connect", "helo", "mail", "rcpt", "eoh", "eom". */
const char *stats_stage_name(enum stats_stage stage);

static inline void stats_add(atomic_uint_least64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline uint64_t stats_get(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void stats_change(atomic_int_least64_t *gauge, int by)
{
    (void)atomic_fetch_add_explicit(gauge, by, memory_order_relaxed);
}

static inline int64_t stats_level(const atomic_int_least64_t *gauge)
{
    return atomic_load_explicit(gauge, memory_order_relaxed);
}

#endif
