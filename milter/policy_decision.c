/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/policy_decision.h"

#include "lib/mail/netaddr.h"
#include "lib/policy/relay_limits.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"
#include "milter/policy_counts.h"

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

/* What is known of this message from earlier questions. */
static void set_counts(struct session *session, const struct policy_facts *facts,
                       const struct policy_request *request)
{
    const struct config *config = ruleset_config(facts->ruleset);

    session->relayers = facts->relayers;
    session->grants_counted = session->relay_control == RELAY_CONTROL_MILTER;
    if (session->grants_counted) {
        return;
    }
    if (*request->instance == '\0') {
        /* Nothing tells one message from another: no limit of a message would hold. */
        session->relayers = config->relay_store.recipients_per_message > 0 ? NULL : facts->relayers;
    } else if (facts->counts != NULL) {
        session->granted_before = policy_counts_find(facts->counts, request->instance,
                                                     request->recipient, &session->grants_counted);
    }
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

    session_connect(session, &client);
    if (session->relay_control == RELAY_CONTROL_OFF) {
        return (struct verdict){.kind = VERDICT_REJECT, .reason = "off"};
    }
    set_counts(session, facts, request);

    struct verdict verdict = stage_relay(session, &login, request->sender, request->recipient);

    if (session->granted > 0 && facts->counts != NULL && *request->instance != '\0') {
        policy_counts_add(facts->counts, request->instance, request->recipient);
    }
    return verdict;
}

enum status policy_decision_make(const struct policy_facts *facts,
                                 const struct policy_request *request, const char **why_out,
                                 struct reply *later_out)
{
    struct session session;

    if (later_out != NULL) {
        *later_out = (struct reply){0};
    }
    if (!can_be_answered(request, why_out)) {
        return STATUS_INVALID;
    }
    session_init(&session, facts->ruleset, facts->trace);
    struct verdict verdict = ask(&session, facts, request);

    session_fini(&session);
    if (verdict.kind == VERDICT_CONTINUE) {
        return STATUS_OK;
    }
    if (relay_limits_reason(&verdict) != NULL) {
        *why_out = relay_limits_reason(&verdict);
    }
    if (relay_limits_is_temporary(&verdict)) {
        if (later_out != NULL) {
            *later_out = verdict.reply; /* a constant text */
        }
        return STATUS_NOTFOUND;
    }
    if (verdict.kind == VERDICT_TEMPFAIL && verdict.reply.code == 451) {
        *why_out = "a map cannot be read";
        return STATUS_TEMPFAIL;
    }
    return STATUS_NOTFOUND;
}
