/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_load - replaces all addresses that may relay by those of a text on standard input.
 */
#ifndef POSTERN_CTL_RELAY_LOAD_H
#define POSTERN_CTL_RELAY_LOAD_H

#include "ctl/ctl.h"

/* Reads, checks and loads; returns the exit status. Any mistake in the text leaves all as it was. */
int relay_load_run(struct ctl *ctl);

#endif
