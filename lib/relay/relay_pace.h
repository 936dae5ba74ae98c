/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_pace - breaks in long work.
 *
 * A thread that sleeps now and then is hardly ever stopped by the system in the midst of something: while it holds a lock
 * that a question needs.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_PACE_H
#define POSTERN_LIB_RELAY_RELAY_PACE_H

#include <stdint.h>

struct relay_pace {
    int64_t since_us; /* the end of the last break */
};

/* The work begins. */
void relay_pace_init(struct relay_pace *pace);

/* To be called often, without a lock: sleeps for a millisecond if there was no break for two. */
void relay_pace_step(struct relay_pace *pace);

#endif
