/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_loop - the work of `posternctl relay watch`: from the lines of a log to the daemon's socket.
 *
 * What a line tells is granted as of now, so that no line may be old: one that can be older than catch_up_seconds is left out, be it because
 * the watcher did not run or because the daemon did not.
 */
#ifndef POSTERN_CTL_WATCH_LOOP_H
#define POSTERN_CTL_WATCH_LOOP_H

#include "lib/base/log.h"

#include <stdbool.h>
#include <stdint.h>

struct watch_options {
    const char *log;      /* "-": standard input */
    const char *patterns; /* a file */
    const char *state;    /* a file; NULL: neither place nor sessions are kept */
    const char *socket;
    int64_t catch_up_seconds;
    bool from_start;
};

/* Until SIGTERM, SIGINT or the end of standard input. False: the patterns are wrong, which was said. */
bool watch_loop_run(const struct watch_options *options, struct logger *logger);

#endif
