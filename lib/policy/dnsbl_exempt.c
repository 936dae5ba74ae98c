/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dnsbl_exempt.h"

#include "lib/policy/client_facts.h"
#include "lib/policy/relay_login.h"
#include "lib/policy/relay_rules.h"

/* Has it shown at MAIL who it is? */
static bool shows_who(const struct session *session)
{
    return *session->login.type != '\0' || *session->login.authen != '\0' ||
           *session->login.cert_issuer != '\0';
}

/* Does what was found out before tell it? */
static bool is_remembered(const struct session *session)
{
    return session->relay_known && !shows_who(session);
}

/*
 * Who may relay by what it is. What the envelope sender claims to be (relay_mail_from, relay_local_from) spares nobody anything.
 * Nobody wants to see these lookups once more. What hangs on address and name alone is found out once; who may relay where logins
 * to POP or IMAP count may do so because of one, which ends.
 */
static enum status may_relay(struct session *session, bool *relays_out)
{
    const char *sender = session->sender;
    struct trace *trace = session->trace;

    session->sender = NULL;
    session->trace = NULL;

    enum status status = relay_rules_client_relays(session, relays_out);

    session->sender = sender;
    session->trace = trace;
    if (status == STATUS_OK && !shows_who(session) && (!*relays_out || session->relayers == NULL)) {
        session->relay_known = true;
        session->relays = *relays_out;
    }
    return status;
}

static void find_out(struct dnsbl_exempt *exempt, struct session *session)
{
    bool relays = session->relays;

    exempt->known = true;
    if ((client_facts_known(session) & CLIENT_AUTHENTICATED) != 0) {
        exempt->reasons |= DNS_EXEMPT_AUTHENTICATED;
    }
    if (!is_remembered(session)) {
        exempt->login_known = true;
        exempt->relay_unknown = may_relay(session, &relays) != STATUS_OK;
    }
    if (relays) {
        exempt->reasons |= DNS_EXEMPT_RELAY;
    }
}

/* Has the client logged in since it was found out that it may not relay? */
static void ask_login(struct dnsbl_exempt *exempt, struct session *session)
{
    struct trace *trace = session->trace;

    exempt->login_known = true;
    session->trace = NULL;
    if (relay_login_permits(session)) {
        exempt->reasons |= DNS_EXEMPT_RELAY;
    }
    session->trace = trace;
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

enum dnsbl_exempt_answer dnsbl_exempt_ask_again(struct dnsbl_exempt *exempt,
                                                struct session *session,
                                                const struct dns_list *list)
{
    enum dnsbl_exempt_answer answer = dnsbl_exempt_ask(exempt, session, list);

    if (answer == DNSBL_EXEMPT_YES || (list->config->exempt & DNS_EXEMPT_RELAY) == 0 ||
        exempt->login_known) {
        return answer;
    }
    ask_login(exempt, session);
    return dnsbl_exempt_ask(exempt, session, list);
}
