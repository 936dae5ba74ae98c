/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * agreement - does the policy server decide on relaying as the filter does?
 */
#ifndef POSTERN_TESTS_GOLDEN_AGREEMENT_H
#define POSTERN_TESTS_GOLDEN_AGREEMENT_H

#include "tests/unit/support.h"

/*
 * What the filter decided for this recipient, where relay_control is "milter", is asked of the policy server in Postfix's words:
 * fails the test if it says OK to what the filter does not relay, or DUNNO to what it relays.
 */
void agreement_check(struct scene *scene, const char *recipient, const struct verdict *verdict);

/* Have there been many answers of both kinds? */
bool agreement_was_seen(void);

#endif
