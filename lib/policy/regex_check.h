/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_check - what `posternctl check` says of the file `regex`: what is wrong in it, and what is right and surely not meant.
 */
#ifndef POSTERN_LIB_POLICY_REGEX_CHECK_H
#define POSTERN_LIB_POLICY_REGEX_CHECK_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

/* Reads the file that the configuration names. All findings go to `diag`; without such a file there are none. */
void regex_check(const struct config *config, struct diag *diag);

#endif
