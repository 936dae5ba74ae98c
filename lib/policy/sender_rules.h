/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sender_rules - Sendmail's check_mail: may this envelope sender send? And the spammers map.
 */
#ifndef POSTERN_LIB_POLICY_SENDER_RULES_H
#define POSTERN_LIB_POLICY_SENDER_RULES_H

#include "lib/policy/rules.h"

/* All of check_mail. `typed` is the sender as typed; with delay_checks Sendmail's $f is asked instead. */
struct rules_result sender_rules_check(struct session *session, const char *typed);

#endif
