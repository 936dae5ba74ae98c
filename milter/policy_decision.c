/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/policy_decision.h"

#include "lib/mail/netaddr.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"

#include <string.h>

/* The question must be one of those that smtpd_relay_restrictions ask; *why_out is set if it is none. */
static bool can_be_answered(const struct policy_request *request, const char **why_out)
{
    struct netaddr client;

    if (strcmp(request->request, "smtpd_access_policy") != 0) {
        *why_out = "request is not smtpd_access_policy";
    } else if (strcmp(request->protocol_state, "RCPT") != 0) {
        *why_out = "protocol_state is not RCPT: use it in smtpd_relay_restrictions";
    } else if (!netaddr_parse(request->client_address, &client)) {
        *why_out =
            "client_address is no IP address"; /* to the stages that would be a local program */
    } else if (*request->recipient == '\0') {
        *why_out = "there is no recipient";
    } else {
        return true;
    }
    return false;
}

static struct verdict ask(struct session *session, const struct policy_facts *facts,
                          const struct policy_request *request)
{
    const struct session_client client = {
        .name = request->client_name,
        .address = request->client_address,
        .ptr = request->reverse_client_name,
        .hostname = facts->hostname,
        .daemon_name = request->policy_context,
        .daemon_addr = request->server_address,
    };
    const struct session_login login = {
        .type = request->sasl_method,
        .authen = request->sasl_username,
        .cert_subject = request->ccert_subject,
        .cert_issuer = request->ccert_issuer,
    };

    session->relayers = facts->relayers;
    session_connect(session, &client);
    if (session->relay_control == RELAY_CONTROL_OFF) {
        return (struct verdict){.kind = VERDICT_REJECT, .reason = "off"};
    }
    return stage_relay(session, &login, request->sender, request->recipient);
}

enum status policy_decision_make(const struct policy_facts *facts,
                                 const struct policy_request *request, const char **why_out)
{
    struct session session;

    if (!can_be_answered(request, why_out)) {
        return STATUS_INVALID;
    }
    session_init(&session, facts->ruleset, facts->trace);
    struct verdict verdict = ask(&session, facts, request);

    session_fini(&session);
    if (verdict.kind == VERDICT_CONTINUE) {
        return STATUS_OK;
    }
    if (verdict.kind == VERDICT_TEMPFAIL && verdict.reply.code == 451) {
        *why_out = "a map cannot be read";
        return STATUS_TEMPFAIL;
    }
    return STATUS_NOTFOUND;
}
