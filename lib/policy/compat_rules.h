/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * compat_rules - FEATURE(compat_check): may this sender write to this recipient?
 *
 * Sendmail asks at delivery; a milter sees none, so postern asks at RCPT: postern-access(5), and the manual's
 * deliberate difference 7.
 */
#ifndef POSTERN_LIB_POLICY_COMPAT_RULES_H
#define POSTERN_LIB_POLICY_COMPAT_RULES_H

#include "lib/policy/rules.h"

/*
 * Asks Compat: patterns; then, with compat_check, looks up `Compat:sender<@>recipient`, both as given, without brackets. DISCARD is VERDICT_DROP: this recipient gets
 * nothing, the others do.
 */
struct rules_result compat_rules_check(struct session *session, const char *recipient);

#endif
