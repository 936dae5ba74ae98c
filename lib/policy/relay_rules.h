/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_rules - may this client send mail to this recipient through us? Sendmail's Rcpt_ok and Relay_ok.
 *
 * Asked with relay_control = "milter", and by an MTA that wants to know before it refuses. Nothing here lets mail through by
 * default: what is neither for us nor from whom we relay for is refused, and what cannot be known now is a temporary failure.
 */
#ifndef POSTERN_LIB_POLICY_RELAY_RULES_H
#define POSTERN_LIB_POLICY_RELAY_RULES_H

#include "lib/policy/canonical.h"
#include "lib/policy/rules.h"

#include <stdbool.h>

/* The result, and whether the client itself proved who it is: then delay_checks ask nothing further. */
struct relay_result {
    struct rules_result result;
    bool trusted; /* by a login or a certificate */
};

/*
 * The relay decision of postern-access(5). `recipient` NULL: it is nobody's, only the client can permit it. `permitted`: a
 * To: pattern says RELAY, which is worth as much as RELAY for its domain. `mailer` is the MTA's {rcpt_mailer}, or NULL: it can prove the
 * recipient local, never the contrary.
 */
struct relay_result relay_rules_check(struct session *session, const struct canonical *recipient,
                                      bool permitted, const char *mailer);

/*
 * Did the client log in with a mechanism that the configuration trusts, or show a certificate that may relay? Not STATUS_OK:
 * it cannot be known, and it is not trusted.
 */
enum status relay_rules_client_trusted(struct session *session, bool *trusted_out);

/*
 * May this client relay, whoever the recipient is: by its address, its name, a login to POP or IMAP, its sender
 * (relay_local_from, relay_mail_from), its own login or certificate? What everybody may
 * (promiscuous_relay) does not count. STATUS_OK, or STATUS_TEMPFAIL: it cannot be known.
 */
enum status relay_rules_client_relays(struct session *session, bool *relays_out);

#endif
