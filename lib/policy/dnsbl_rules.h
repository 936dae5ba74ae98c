/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dnsbl_rules - what DNS lists say of a session: the sections dnsbl and enhdnsbl of postern.conf(5).
 *
 * Lists are asked in the order of the file, after those with action "allow", which spare the client all others. The first one that lists
 * decides; those with a weight add up instead. A list that is suspended or answers nonsense decides nothing.
 */
#ifndef POSTERN_LIB_POLICY_DNSBL_RULES_H
#define POSTERN_LIB_POLICY_DNSBL_RULES_H

#include "lib/policy/rules.h"

#include <stdbool.h>

/* Is there a list for this session and any of the lookups (enum config_dns_lookup)? For a client that a rule accepted there is none. */
bool dnsbl_rules_apply(const struct session *session, unsigned lookups);

/* Puts the questions whose facts are known. */
void dnsbl_rules_expect(struct session *session, unsigned lookups);

/* The decision by these lookups; lists with a weight count by those of `scored`. */
struct rules_result dnsbl_rules_check(struct session *session, unsigned lookups, unsigned scored);

#endif
