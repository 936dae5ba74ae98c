/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_turns - when entries that open sessions keep alive are touched.
 *
 * Each at least four times in a window, but hardly more often than every 20 seconds; without a window every five minutes, for who has entries
 * expired by their age. Entries that were touched at the same time do not stay together: from the half of the interval on, some are
 * due, at the rate at which all of them make one interval.
 *
 * Times are milliseconds of a clock that never goes back. Values; no I/O. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_TURNS_H
#define POSTERN_LIB_RELAY_RELAY_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_turns {
    int64_t interval_ms;
    int64_t all_due_ms;  /* what was touched before is due */
    int64_t credit_ms;   /* one that is touched early costs an interval */
    int64_t credited_ms; /* when there was credit last */
};

/* Nothing is due because of what was before. */
void relay_turns_init(struct relay_turns *turns, unsigned window_minutes);

/* With another window, all is due. */
void relay_turns_set_window(struct relay_turns *turns, unsigned window_minutes, int64_t now_ms);

/* Whatever the reason, what was touched until now is due. */
void relay_turns_all_due(struct relay_turns *turns, int64_t now_ms);

/* Some are to be taken of `entries` that there are, at most `most`. */
void relay_turns_begin(struct relay_turns *turns, size_t entries, size_t most, int64_t now_ms);

/* What is touched now has this time as its `touched_ms`. */
int64_t relay_turns_time(const struct relay_turns *turns, int64_t now_ms);

/* Is what was touched at `touched_ms` due? To be asked once for each, those that were touched longest ago first. */
bool relay_turns_is_due(struct relay_turns *turns, int64_t touched_ms, int64_t now_ms);

#endif
