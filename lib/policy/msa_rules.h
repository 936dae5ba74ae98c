/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * msa_rules - what a message submission agent asks for (RFC 6409), per listener: a login, whole domain names.
 *
 * In force where the `daemon` section of the session's listener says so; replies are Sendmail's.
 */
#ifndef POSTERN_LIB_POLICY_MSA_RULES_H
#define POSTERN_LIB_POLICY_MSA_RULES_H

#include "lib/policy/rules.h"

/* require_auth: 530 5.7.0 to whom did not log in (RFC 6409, 4.3; RFC 4954, 6). */
struct rules_result msa_rules_check_login(const struct session *session);

/* require_fqdn: 553 5.5.4 to addresses without a whole domain name (RFC 6409, 4.2); not asked for our own hosts. */
struct rules_result msa_rules_check_sender(struct session *session, const char *typed);
struct rules_result msa_rules_check_recipient(struct session *session, const char *typed);

#endif
