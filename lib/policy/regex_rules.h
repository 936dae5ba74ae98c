/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_rules - the patterns of the envelope, postern-regex(5): asked before all else of the same stage, as Sendmail asks
 * Local_check_relay, Local_check_mail and Local_check_rcpt.
 *
 * OK, RELAY, a refusal and DISCARD decide. Whatever else a pattern says, the stage goes on; what it asks for beside a verdict is added to
 * session->effects. A pattern that runs into a limit is a temporary failure that names its line.
 */
#ifndef POSTERN_LIB_POLICY_REGEX_RULES_H
#define POSTERN_LIB_POLICY_REGEX_RULES_H

#include "lib/policy/canonical.h"
#include "lib/policy/rules.h"

#include <stdbool.h>

/* Connect: the client's name, its address in brackets, and its address as Postfix writes it. */
struct rules_result regex_rules_check_client(struct session *session, const char *name);

/* Helo: the name given. */
struct rules_result regex_rules_check_helo(struct session *session);

/* From: the sender; NULL: it is `<>`. */
struct rules_result regex_rules_check_sender(struct session *session,
                                             const struct canonical *sender);

/* To: the recipient. */
struct rules_result regex_rules_check_recipient(struct session *session,
                                                const struct canonical *recipient);

/* Compat: `sender<@>recipient`, both as From: and To: have them. DISCARD is VERDICT_DROP. */
struct rules_result regex_rules_check_pair(struct session *session, const char *recipient);

/* Does a pattern permit this client to relay? STATUS_OK or STATUS_TEMPFAIL. */
enum status regex_rules_client_relays(struct session *session, bool *relays_out);

#endif
