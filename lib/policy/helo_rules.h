/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * helo_rules - what is asked of the name of HELO beside block_bad_helo: the section helo of postern.conf(5), and lists of domains.
 */
#ifndef POSTERN_LIB_POLICY_HELO_RULES_H
#define POSTERN_LIB_POLICY_HELO_RULES_H

#include "lib/policy/rules.h"

/* To be asked when nothing else has decided. While checks are put off, it only puts the questions. */
struct rules_result helo_rules_check(struct session *session);

/* The check that was put off: whether the name resolves, lists, and the score of all lists. */
struct rules_result helo_rules_finish(struct session *session);

/* Puts the questions about the name. */
void helo_rules_expect(struct session *session);

#endif
