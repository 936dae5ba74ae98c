/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dnsbl_exempt.h"

#include "lib/policy/client_facts.h"
#include "lib/policy/relay_rules.h"

/* Has it shown at MAIL who it is? */
static bool shows_who(const struct session *session)
{
    return *session->login.type != '\0' || *session->login.authen != '\0' ||
           *session->login.cert_issuer != '\0';
}

/*
 * Who may relay by what it is. What the envelope sender claims to be (relay_mail_from, relay_local_from) spares nobody anything.
 * Nobody wants to see these lookups once more, and what hangs on address and name alone is found out once.
 */
static enum status may_relay(struct session *session, bool *relays_out)
{
    const char *sender = session->sender;
    struct trace *trace = session->trace;

    if (session->relay_known && !shows_who(session)) {
        *relays_out = session->relays;
        return STATUS_OK;
    }
    session->sender = NULL;
    session->trace = NULL;

    enum status status = relay_rules_client_relays(session, relays_out);

    session->sender = sender;
    session->trace = trace;
    if (status == STATUS_OK && !shows_who(session)) {
        session->relay_known = true;
        session->relays = *relays_out;
    }
    return status;
}

static void find_out(struct dnsbl_exempt *exempt, struct session *session)
{
    bool relays = false;

    exempt->known = true;
    if ((client_facts_known(session) & CLIENT_AUTHENTICATED) != 0) {
        exempt->reasons |= DNS_EXEMPT_AUTHENTICATED;
    }
    exempt->relay_unknown = may_relay(session, &relays) != STATUS_OK;
    if (relays) {
        exempt->reasons |= DNS_EXEMPT_RELAY;
    }
}

enum dnsbl_exempt_answer dnsbl_exempt_ask(struct dnsbl_exempt *exempt, struct session *session,
                                          const struct dns_list *list)
{
    unsigned wanted = list->config->exempt;

    if (wanted == 0) {
        return DNSBL_EXEMPT_NO;
    }
    if (!exempt->known) {
        find_out(exempt, session);
    }
    if ((exempt->reasons & wanted) != 0) {
        return DNSBL_EXEMPT_YES;
    }
    return exempt->relay_unknown && (wanted & DNS_EXEMPT_RELAY) != 0 ? DNSBL_EXEMPT_UNKNOWN
                                                                     : DNSBL_EXEMPT_NO;
}
