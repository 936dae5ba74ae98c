/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_test - `posternctl relay watch --test FILE`: what would be learned from a log, line by line. Nobody is told.
 */
#ifndef POSTERN_CTL_WATCH_TEST_H
#define POSTERN_CTL_WATCH_TEST_H

#include "ctl/ctl.h"

/* CTL_DONE: a login or logout was learned; CTL_NO: none, or the patterns are wrong; CTL_TEMPFAIL: the log ("-": standard input) cannot be read. */
int watch_test_run(struct ctl *ctl, const char *log, const char *patterns);

#endif
