/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ratelog - says something that may happen with every request once a minute.
 */
#ifndef POSTERN_MILTER_RATELOG_H
#define POSTERN_MILTER_RATELOG_H

#include <stdatomic.h>
#include <stdbool.h>

#define RATELOG_SECONDS 60

/* All zero: nothing was said yet. */
struct ratelog {
    atomic_llong said;     /* seconds of a clock that never goes back, and one; 0: never */
    atomic_ulong withheld; /* since then */
};

/*
 * Is it to be said now? *withheld_out is how often it was not since the last time. For one of several threads only. Safe for threads.
 */
bool ratelog_due(struct ratelog *ratelog, unsigned long *withheld_out);

#endif
