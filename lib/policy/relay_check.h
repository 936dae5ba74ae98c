/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_check - what `posternctl check` says of settings and rules that open the server for relaying.
 *
 * Warnings only: each of them can be meant. They are told where postern decides on relaying, or is set up to be asked.
 */
#ifndef POSTERN_LIB_POLICY_RELAY_CHECK_H
#define POSTERN_LIB_POLICY_RELAY_CHECK_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

#include <stdbool.h>

/* Does it matter what postern thinks of relaying: does it refuse, or is it set up to be asked by an MTA? */
bool relay_check_matters(const struct config *config);

/* Features, login mechanisms, the mode itself, and the lines of relay_domains. */
void relay_check_config(const struct config *config, struct diag *diag);

/* One RELAY entry of the access file; `key` as it is stored. */
void relay_check_entry(const char *file, unsigned line, const char *key, struct diag *diag);

#endif
