/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_turns.h"

#define MS_PER_MINUTE INT64_C(60000)
#define TURNS_A_WINDOW 4
#define SHORTEST_MS INT64_C(20000)
#define WITHOUT_WINDOW_MS INT64_C(300000)

static int64_t interval_of(unsigned window_minutes)
{
    int64_t interval = window_minutes * MS_PER_MINUTE / TURNS_A_WINDOW;

    if (window_minutes == 0) {
        return WITHOUT_WINDOW_MS;
    }
    return interval < SHORTEST_MS ? SHORTEST_MS : interval;
}

void relay_turns_init(struct relay_turns *turns, unsigned window_minutes)
{
    *turns = (struct relay_turns){.interval_ms = interval_of(window_minutes),
                                  .all_due_ms = INT64_MIN,
                                  .credited_ms = INT64_MIN};
}

void relay_turns_set_window(struct relay_turns *turns, unsigned window_minutes, int64_t now_ms)
{
    int64_t interval = interval_of(window_minutes);

    if (interval != turns->interval_ms) {
        turns->interval_ms = interval;
        relay_turns_all_due(turns, now_ms);
    }
}

void relay_turns_all_due(struct relay_turns *turns, int64_t now_ms)
{
    turns->all_due_ms = now_ms + 1;
}

void relay_turns_begin(struct relay_turns *turns, size_t entries, size_t most, int64_t now_ms)
{
    int64_t most_ms = (int64_t)most * turns->interval_ms;
    int64_t passed = turns->credited_ms == INT64_MIN ? 0 : now_ms - turns->credited_ms;

    /* After a whole interval, what is old is due anyway. */
    passed = passed > turns->interval_ms ? turns->interval_ms : passed;
    turns->credited_ms = now_ms;
    turns->credit_ms += passed * (int64_t)entries;
    if (turns->credit_ms > most_ms) {
        turns->credit_ms = most_ms;
    }
}

int64_t relay_turns_time(const struct relay_turns *turns, int64_t now_ms)
{
    return now_ms < turns->all_due_ms ? turns->all_due_ms : now_ms;
}

bool relay_turns_is_due(struct relay_turns *turns, int64_t touched_ms, int64_t now_ms)
{
    int64_t age = now_ms - touched_ms;

    if (touched_ms < turns->all_due_ms || age >= turns->interval_ms) {
        return true;
    }
    if (age < turns->interval_ms / 2 || turns->credit_ms < turns->interval_ms) {
        return false;
    }
    turns->credit_ms -= turns->interval_ms;
    return true;
}
