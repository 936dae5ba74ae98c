/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_client - has the client a name that leads back to it? An own look where the MTA does not say.
 *
 * Sendmail and Postfix tell in {client_resolve} why a client has no name, if they are left to send it. Where that is missing, a client whose
 * name could not be looked up just now looks like one that has none. What the MTA does tell is never doubted.
 */
#ifndef POSTERN_LIB_POLICY_DNS_CLIENT_H
#define POSTERN_LIB_POLICY_DNS_CLIENT_H

#include "lib/policy/session.h"

#include <stdbool.h>

/* Puts the question, if there will be one. */
void dns_client_expect(struct session *session);

/* Does it need DNS to say? */
bool dns_client_is_doubtful(const struct session *session);

/* What is known of the client's name. False: return VERDICT_WAIT. */
bool dns_client_resolve(struct session *session, enum session_resolve *out);

#endif
