/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/ratelog.h"

#include <time.h>

bool ratelog_due(struct ratelog *ratelog, unsigned long *withheld_out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    long long seconds = (long long)now.tv_sec + 1;
    long long said = atomic_load(&ratelog->said);

    if ((said != 0 && seconds - said < RATELOG_SECONDS) ||
        !atomic_compare_exchange_strong(&ratelog->said, &said, seconds)) {
        atomic_fetch_add(&ratelog->withheld, 1);
        return false;
    }
    *withheld_out = atomic_exchange(&ratelog->withheld, 0);
    return true;
}
