/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * daemon - the running program: sockets, user, threads, signals, and a clean end.
 */
#ifndef POSTERN_MILTER_DAEMON_H
#define POSTERN_MILTER_DAEMON_H

#include <stdbool.h>

struct daemon_options {
    const char *config_path; /* absolute */
    bool foreground;         /* log to standard error */
    bool background;         /* detach, with pid file */
};

/* Serves until SIGTERM or SIGINT. Returns the exit status: 0 after an orderly end, 1 if it could not start or serve. */
int daemon_run(const struct daemon_options *options);

#endif
