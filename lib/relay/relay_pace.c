/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_pace.h"

#include <time.h>

#define WORK_US 2000
#define BREAK_NS 1000000

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void relay_pace_init(struct relay_pace *pace)
{
    pace->since_us = now_us();
}

void relay_pace_step(struct relay_pace *pace)
{
    const struct timespec length = {.tv_nsec = BREAK_NS};

    if (now_us() - pace->since_us >= WORK_US) {
        (void)nanosleep(&length, NULL);
        pace->since_us = now_us();
    }
}
