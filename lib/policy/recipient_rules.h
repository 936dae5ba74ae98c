/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recipient_rules - Sendmail's check_rcpt as far as it is not about relaying: blocked recipients, and who wants
 * to be spared (delay_checks friend, hater).
 */
#ifndef POSTERN_LIB_POLICY_RECIPIENT_RULES_H
#define POSTERN_LIB_POLICY_RECIPIENT_RULES_H

#include "lib/policy/canonical.h"
#include "lib/policy/rules.h"

/*
 * What cannot be an address, To: patterns, and blocked recipients. *recipient_out is the canonical recipient; it is set unless the result is
 * a refusal.
 */
struct rules_result recipient_rules_check(struct session *session, const char *typed,
                                          struct canonical *recipient_out);

/*
 * delay_checks_friend and _hater: `accepted` if the recipient wants no further checks.
 */
struct rules_result recipient_rules_check_spared(struct session *session, const char *typed);

#endif
