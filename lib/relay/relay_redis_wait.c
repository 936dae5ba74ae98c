/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_wait.h"

#include <errno.h>
#include <poll.h>

#define MS_PER_S 1000
#define NS_PER_MS 1000000

int64_t relay_redis_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

struct timespec relay_redis_timespec(int64_t at_ms)
{
    return (struct timespec){.tv_sec = (time_t)(at_ms / MS_PER_S),
                             .tv_nsec = (long)(at_ms % MS_PER_S) * NS_PER_MS};
}

bool relay_redis_wait(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd wanted = {.fd = fd, .events = events};
        int64_t left = deadline_ms - relay_redis_now();

        if (left <= 0) {
            return false;
        }
        int ready = poll(&wanted, 1, (int)left);

        if (ready > 0 || (ready < 0 && errno != EINTR)) {
            return true;
        }
    }
}
