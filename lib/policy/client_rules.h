/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client_rules - Sendmail's check_relay: may this client connect? And FEATURE(block_bad_helo).
 */
#ifndef POSTERN_LIB_POLICY_CLIENT_RULES_H
#define POSTERN_LIB_POLICY_CLIENT_RULES_H

#include "lib/policy/rules.h"

/*
 * Connect: patterns, then Connect: entries for the client's name and address, then DNS lists, then require_rdns. While checks are put off, the
 * last two only put their questions.
 */
struct rules_result client_rules_check(struct session *session);

/* DNS lists and require_rdns, which were put off. */
struct rules_result client_rules_finish(struct session *session);

/* Puts the questions of these two. */
void client_rules_expect(struct session *session);

/*
 * Helo: patterns, then block_bad_helo, then helo_rules. block_bad_helo is not asked for clients that logged in or are in class R. Unlike Sendmail's, it
 * does not need delay_checks and takes an IPv6 literal.
 */
struct rules_result client_rules_check_helo(struct session *session);

#endif
