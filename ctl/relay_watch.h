/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_watch - `posternctl relay watch`: reports the logins that a log tells of to the daemon, until it is told to end.
 */
#ifndef POSTERN_CTL_RELAY_WATCH_H
#define POSTERN_CTL_RELAY_WATCH_H

#include "ctl/ctl.h"

/* argv[0] is "watch" or the verb's name, options and the log follow in any order. Returns an enum ctl_exit. */
int relay_watch_run(struct ctl *ctl, int argc, char **argv);

#endif
