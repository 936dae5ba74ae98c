/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_stats - the addresses that may relay, in numbers: `posternctl relay stats`, and their part of `posternctl status`.
 */
#ifndef POSTERN_CTL_RELAY_STATS_H
#define POSTERN_CTL_RELAY_STATS_H

#include "ctl/ctl.h"

/* Carries out `relay stats`: the daemon is asked, or the store is read if none runs. Returns the exit status. */
int relay_stats_run(struct ctl *ctl);

/*
 * Prints what a daemon says of its store ("relay_store" of a status), in lines that begin with `title` or blanks; what it does not say is left out. NULL, an
 * older daemon: nothing.
 */
void relay_stats_print(const char *title, const json_t *store);

#endif
