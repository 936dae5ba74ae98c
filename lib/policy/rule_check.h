/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rule_check - what `posternctl check` finds in rule files beyond what makemap refuses.
 *
 * Rules that can never decide because others are asked first (says which), rules that no configured feature asks for,
 * and maps that were not made from their text as it is now. Changes nothing.
 */
#ifndef POSTERN_LIB_POLICY_RULE_CHECK_H
#define POSTERN_LIB_POLICY_RULE_CHECK_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

/* Reads all that the configuration names. All findings go to `diag`. */
void rule_check_all(const struct config *config, struct diag *diag);

#endif
