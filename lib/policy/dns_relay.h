/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_relay - relay_based_on_MX: is this host the mail server of the recipient's domain?
 */
#ifndef POSTERN_LIB_POLICY_DNS_RELAY_H
#define POSTERN_LIB_POLICY_DNS_RELAY_H

#include "lib/policy/canonical.h"
#include "lib/policy/rules.h"

/*
 * `refusal` is what the client is told otherwise; anything else is given back as it is. Nothing, if the domain has an MX record that names this
 * host: by a name in local_host_names or its own name, or by an address of its own. Only records of the best preference count, with
 * relay_mx "any" all. A domain without MX records names nobody. What cannot be known now is a temporary failure.
 * Without the feature nothing is asked, and
 * neither is it (unless loose_relay_check) of a recipient whose local part names another host.
 */
struct rules_result dns_relay_check(struct session *session, const struct canonical *recipient,
                                    struct rules_result refusal);

#endif
