/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * start_check - what `postern -t` and `posternctl check` say of settings that a start of the daemon would fail on.
 *
 * The user and groups, the sockets and their folders, and the file of POP-before-SMTP, or the password of its Redis server. Only looks: whether another daemon has a
 * socket is not asked, as it may be the one that runs.
 */
#ifndef POSTERN_LIB_POLICY_START_CHECK_H
#define POSTERN_LIB_POLICY_START_CHECK_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

#include <stdbool.h>

/*
 * Errors are what a start fails on, or what would destroy a file; warnings what the daemon can do without. `as_root`: as if
 * root started it; others need not have its user and groups. Not for programs with threads: getpwnam(3).
 */
void start_check(const struct config *config, bool as_root, struct diag *diag);

#endif
