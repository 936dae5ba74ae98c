/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/golden/agreement.h"

#include "lib/mail/address.h"
#include "milter/policy_decision.h"
#include "milter/policy_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MANY 40u

static struct {
    unsigned ok;
    unsigned dunno;
} seen;

/* As Postfix has an address inside: no brackets, no quotes, no route in front. */
static void append_internal(struct strbuf *out, const char *name, const char *typed)
{
    size_t len = strlen(typed);
    size_t begin = typed[0] == '<' ? 1 : 0;
    size_t end = len > begin && typed[len - 1] == '>' ? len - 1 : len;

    strbuf_appendf(out, "%s=", name);
    if (typed[begin] == '@') {
        begin += strcspn(typed + begin, ":");
        begin += typed[begin] == ':' ? 1 : 0;
    }
    for (size_t i = begin; i < end; i++) {
        if (typed[i] != '"' && typed[i] != '\\') {
            strbuf_append_char(out, typed[i]);
        }
    }
    strbuf_append_char(out, '\n');
}

static void append_client(struct strbuf *out, const struct scene *scene)
{
    char buf[1024];
    const struct session_client client = scene_client(scene->client, buf);
    const char *name = client.name == NULL ? "unknown" : client.name;
    const char *reverse = client.ptr != NULL ? client.ptr : name;
    bool resolves = client.resolve == NULL || strcmp(client.resolve, "OK") == 0;
    bool has_ptr = client.resolve == NULL || strcmp(client.resolve, "FAIL") != 0;

    strbuf_appendf(out,
                   "client_address=%s\nclient_name=%s\nreverse_client_name=%s\n"
                   "server_address=%s\npolicy_context=%s\n",
                   client.address == NULL ? "" : client.address, resolves ? name : "unknown",
                   has_ptr ? reverse : "unknown", client.daemon_addr, client.daemon_name);
}

static enum status ask_policy(const struct scene *scene, const char *recipient, bool *plain_out)
{
    const struct policy_facts facts = {
        .ruleset = scene->ruleset,
        .relayers = scene->relayers.find == NULL ? NULL : &scene->relayers,
        .hostname = "",
    };
    struct policy_request request;
    const char *why = "";
    struct strbuf text;

    strbuf_init(&text);
    strbuf_append(&text, "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n");
    append_client(&text, scene);
    append_internal(&text, "sender", scene->session.sender);
    append_internal(&text, "recipient", recipient);
    strbuf_appendf(&text, "sasl_method=%s\nsasl_username=%s\n\n", scene->mechanism, scene->user);
    assert_int_equal(policy_request_length(text.data, text.len), text.len);
    assert_true(policy_request_parse(text.data, text.len, &request, &why));
    *plain_out = address_is_plain(request.recipient);

    enum status status = policy_decision_make(&facts, &request, &why, NULL);

    strbuf_fini(&text);
    return status;
}

void agreement_check(struct scene *scene, const char *recipient, const struct verdict *verdict)
{
    bool denied = verdict_is_refusal(verdict) && verdict->reason != NULL &&
                  strcmp(verdict->reason, "relay") == 0;
    bool relayed = verdict->kind == VERDICT_CONTINUE || verdict->kind == VERDICT_QUARANTINE;
    bool plain;

    if (scene->session.relay_control != RELAY_CONTROL_MILTER) {
        return;
    }
    /* A program of this host does not come through Postfix's smtpd. */
    bool asked = *scene->session.client_addr != '\0';
    /* The policy server asks no DNS: what an MX lets relay it leaves to the filter. */
    bool same = !session_has(&scene->session, FEATURE_RELAY_BASED_ON_MX);
    enum status status = ask_policy(scene, recipient, &plain);

    if (denied && status == STATUS_OK) {
        fail_msg("%s: %s is refused, and the policy server says OK", scene->client, recipient);
    }
    if (relayed && plain && asked && same && status != STATUS_OK) {
        fail_msg("%s: %s is relayed, and the policy server says DUNNO", scene->client, recipient);
    }
    seen.ok += relayed && status == STATUS_OK;
    seen.dunno += denied;
}

bool agreement_was_seen(void)
{
    return seen.ok >= MANY && seen.dunno >= MANY;
}
