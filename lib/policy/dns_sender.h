/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_sender - is the domain of the envelope sender real? What check_mail asks DNS, and lists of domains.
 */
#ifndef POSTERN_LIB_POLICY_DNS_SENDER_H
#define POSTERN_LIB_POLICY_DNS_SENDER_H

#include "lib/policy/canonical.h"
#include "lib/policy/rules.h"

/*
 * To be asked when nothing else has decided about the sender. The domain has to exist (unless accept_unresolvable_domains), to take mail (RFC
 * 7505), to have no illegal MX (badmx), and to be in no list. While checks are put off, it only puts the questions. With delay_checks
 * the lists are left to dns_sender_check_lists().
 */
struct rules_result dns_sender_check(struct session *session, const struct canonical *sender);

/* The check that was put off. */
struct rules_result dns_sender_finish(struct session *session);

/* What lists say of the sender's domain. For delay_checks, where it is not known before whether a rule accepts the client, which spares it all lists. */
struct rules_result dns_sender_check_lists(struct session *session);

/* Puts the questions about a sender as typed, for delay_checks. */
void dns_sender_expect(struct session *session, const char *typed);

#endif
