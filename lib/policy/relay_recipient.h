/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_recipient - is this recipient one that we relay to for everybody? The recipient's half of the relay decision.
 */
#ifndef POSTERN_LIB_POLICY_RELAY_RECIPIENT_H
#define POSTERN_LIB_POLICY_RELAY_RECIPIENT_H

#include "lib/policy/canonical.h"
#include "lib/policy/relay_answer.h"

#include <stdbool.h>

/*
 * Does the local part name another host, in a way that an MTA may follow though Sendmail does not, or in one that the
 * configuration refuses? Such a recipient is nobody's.
 */
bool relay_recipient_hides_host(struct session *session, const struct canonical *recipient);

/*
 * Is its domain (never NULL) local, of class m (relay_entire_domain) or R, or has it RELAY in the map? `permitted`: a To:
 * pattern says RELAY.
 */
enum relay_answer relay_recipient_ask(struct session *session, const struct canonical *recipient,
                                      bool permitted);

/* The same without what only says that it is local, and without patterns. */
enum relay_answer relay_recipient_ask_remote(struct session *session,
                                             const struct canonical *recipient);

/* Of that, what needs no map: is the domain of class m (relay_entire_domain) or R? */
bool relay_recipient_ask_classes(struct session *session, const char *domain);

#endif
