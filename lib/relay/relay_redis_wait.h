/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_wait - the time that an answer of a Redis server may take.
 *
 * Times are milliseconds of the monotonic clock: whoever sets the clock makes nobody wait.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_WAIT_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

int64_t relay_redis_now(void);

/* The same moment for pthread_cond_timedwait() with the monotonic clock. */
struct timespec relay_redis_timespec(int64_t at_ms);

/* Waits until the socket has one of the events of poll(), or an error; false: the time is over. */
bool relay_redis_wait(int fd, short events, int64_t deadline_ms);

#endif
