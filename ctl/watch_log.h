/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_log - how a watcher tells what is wrong: each line into its log, and what comes often once in a while.
 */
#ifndef POSTERN_CTL_WATCH_LOG_H
#define POSTERN_CTL_WATCH_LOG_H

#include "lib/base/diag.h"
#include "lib/base/log.h"

#include <stdint.h>

/* What is said at most every ten seconds; all 0 at first. */
struct watch_log_seldom {
    int64_t said_at;
    unsigned long withheld; /* since then */
};

/* A diag_sink; ctx is the logger. */
void watch_log_report(void *ctx, const struct diag_item *item);

/* What became of a line, and why. */
void watch_log_complain(struct logger *logger, struct watch_log_seldom *seldom, const char *result,
                        const char *what, const char *error);

#endif
