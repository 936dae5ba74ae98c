/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/stages.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/canonical.h"
#include "lib/policy/client_rules.h"
#include "lib/policy/compat_rules.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/dns_sender.h"
#include "lib/policy/helo_rules.h"
#include "lib/policy/message_headers.h"
#include "lib/policy/msa_rules.h"
#include "lib/policy/recipient_rules.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/relay_limits.h"
#include "lib/policy/relay_rules.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/sender_rules.h"

#include <string.h>

static bool has(const struct session *session, enum config_feature feature)
{
    return session_has(session, feature);
}

/* A verdict whose strings live in `arena`. */
static struct verdict copy_to(struct arena *arena, struct verdict verdict)
{
    if (verdict.reply.text != NULL) {
        verdict.reply.text = arena_strdup(arena, verdict.reply.text);
    }
    if (verdict.quarantine != NULL) {
        verdict.quarantine = arena_strdup(arena, verdict.quarantine);
    }
    if (verdict.rule.key != NULL) {
        verdict.rule.key = arena_strdup(arena, verdict.rule.key);
    }
    if (verdict.list != NULL) {
        verdict.list = arena_strdup(arena, verdict.list);
    }
    if (verdict.answer != NULL) {
        verdict.answer = arena_strdup(arena, verdict.answer);
    }
    if (verdict.why != NULL) {
        verdict.why = arena_strdup(arena, verdict.why);
    }
    return verdict;
}

/* Was it the same line of the same file? Thousands of recipients must not add up to thousands of copies. */
static bool same_rule(const struct verdict *a, const struct verdict *b)
{
    return a->kind == b->kind && a->rule.file == b->rule.file && a->rule.line == b->rule.line &&
           (a->list == NULL) == (b->list == NULL) &&
           (a->list == NULL || strcmp(a->list, b->list) == 0);
}

/* Keeps DISCARD and QUARANTINE for the end of the message; of several QUARANTINEs the last one counts. */
static struct verdict keep(struct session *session, struct verdict verdict)
{
    if (verdict.kind == VERDICT_DISCARD && session->discard.kind != VERDICT_DISCARD) {
        session->discard = copy_to(session->message, verdict);
    } else if (verdict.kind == VERDICT_QUARANTINE && !same_rule(&verdict, &session->quarantine)) {
        if (session->held == NULL) {
            session->held = arena_new();
        }
        arena_reset(session->held);
        session->quarantine = copy_to(session->held, verdict);
    }
    return verdict;
}

/* Begins a stage that asks patterns. */
static void begin(struct session *session)
{
    arena_reset(session->scratch);
    session->effects = effects_none();
    session->grant = NULL;
}

/* What patterns have asked for lives on, in `arena`. */
static void keep_effects(struct effects *kept, struct arena *arena, const struct effects *effects)
{
    if (effects->hold.kind != VERDICT_CONTINUE) {
        kept->hold = copy_to(arena, effects->hold);
    }
    if (effects->if_permit.kind != VERDICT_CONTINUE) {
        kept->if_permit = copy_to(arena, effects->if_permit);
    }
    if (effects->if_reject.kind != VERDICT_CONTINUE) {
        kept->if_reject = copy_to(arena, effects->if_reject);
    }
}

/* The verdict of a stage that is done; `final`: nothing more will be asked of this recipient. */
static struct verdict settle(struct session *session, struct verdict verdict, bool final)
{
    const struct effects *effects = &session->effects;

    verdict = effects_defer(effects, &session->message_effects, verdict, final);
    if (verdict_is_refusal(&verdict)) {
        return verdict;
    }
    if (!effects_add_edits(&session->edits, session->message, &effects->edits)) {
        return rules_tempfail("too_many_changes").verdict;
    }
    (void)keep(session, effects->hold);
    if (verdict.kind == VERDICT_CONTINUE && effects->hold.kind == VERDICT_QUARANTINE) {
        return effects->hold;
    }
    return keep(session, verdict);
}

struct verdict stage_connect(struct session *session)
{
    begin(session);
    session->connect = verdict_continue();
    session->connect_effects = effects_none();
    session->put_off = 0;
    session->later = true;
    if (has(session, FEATURE_DELAY_CHECKS)) {
        client_rules_expect(session);
        return session->connect;
    }
    struct verdict verdict = effects_defer(&session->effects, &session->connect_effects,
                                           client_rules_check(session).verdict, false);

    if (verdict.kind == VERDICT_CONTINUE && session->effects.hold.kind != VERDICT_CONTINUE) {
        verdict = session->effects.hold;
    }
    session->connect = copy_to(session->arena, verdict);
    keep_effects(&session->connect_effects, session->arena, &session->effects);
    (void)effects_add_edits(&session->connect_effects.edits, session->arena,
                            &session->effects.edits);
    session->put_off_connect = session->put_off;
    return session->connect;
}

struct verdict stage_helo(struct session *session, const char *name)
{
    size_t len = name == NULL ? 0 : strnlen(name, DOMAIN_MAX_LEN);

    memcpy(session->helo, name == NULL ? "" : name, len);
    session->helo[len] = '\0';
    dns_questions_forget(session, DNS_SPAN_HELO);
    helo_rules_expect(session);
    return verdict_continue();
}

static const char *copy_or_empty(struct arena *arena, const char *text)
{
    return text == NULL ? "" : arena_strdup(arena, text);
}

static void set_message_facts(struct session *session, const struct session_login *login,
                              const char *sender)
{
    struct arena *arena = session->message;

    if (login != NULL) {
        session->login = (struct session_login){
            .type = copy_or_empty(arena, login->type),
            .authen = copy_or_empty(arena, login->authen),
            .verify = copy_or_empty(arena, login->verify),
            .cert_subject = copy_or_empty(arena, login->cert_subject),
            .cert_issuer = copy_or_empty(arena, login->cert_issuer),
        };
    }
    session->sender = arena_strdup(arena, sender);
}

/* A check that may be called twice for one command, and changes nothing that the second call would not change again. */
typedef struct verdict check_fn(struct session *session, const void *arguments);

/* Who traces sees each lookup once: what is found out up to an answer that is not there yet is not shown. */
static struct verdict run_check(struct session *session, check_fn *check, const void *arguments)
{
    struct trace *trace = session->trace;

    if (trace != NULL && dns_questions_possible(session)) {
        session->trace = NULL;

        struct verdict verdict = check(session, arguments);

        session->trace = trace;
        if (verdict.kind == VERDICT_WAIT) {
            return verdict;
        }
        begin(session);
    }
    return check(session, arguments);
}

/* What was put off until the answers of DNS are there: in Sendmail's order. */
static struct verdict finish_put_off(struct session *session)
{
    static const struct {
        enum session_put_off what;
        struct rules_result (*finish)(struct session *session);
    } checks[] = {
        {PUT_OFF_CLIENT, client_rules_finish},
        {PUT_OFF_SENDER, dns_sender_finish},
        {PUT_OFF_HELO, helo_rules_finish},
    };
    struct verdict kept = verdict_continue();

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if ((session->put_off & checks[i].what) != 0) {
            struct verdict verdict = checks[i].finish(session).verdict;

            if (verdict_is_final(&verdict)) {
                return verdict;
            }
            kept = verdict.kind == VERDICT_CONTINUE ? kept : keep(session, verdict);
        }
    }
    return kept;
}

/* The sender, then HELO unless a rule accepts the sender. */
static struct verdict check_sender(struct session *session)
{
    struct rules_result result = sender_rules_check(session, session->sender);

    if (verdict_is_final(&result.verdict) || result.accepted) {
        return result.verdict;
    }
    (void)keep(session, result.verdict);

    struct verdict helo = client_rules_check_helo(session).verdict;

    return helo.kind == VERDICT_CONTINUE ? result.verdict : helo;
}

static struct verdict check_mail(struct session *session, const void *arguments)
{
    struct verdict verdict = verdict_continue();

    (void)arguments;
    session->later = !ruleset_config(session->ruleset)->dns.answer_at_mail;
    session->put_off = session->put_off_connect;
    if (!session->later) {
        verdict = finish_put_off(session);
        session->put_off = 0;
    }
    if (verdict_is_final(&verdict)) {
        return verdict;
    }
    return check_sender(session);
}

struct verdict stage_mail(struct session *session, const struct session_login *login,
                          const char *sender)
{
    bool again = session->waiting;

    session->waiting = false;
    if (!again) {
        session_reset_message(session);
        set_message_facts(session, login, sender);
    }
    begin(session);
    if (verdict_is_refusal(&session->connect)) {
        return session->connect;
    }
    (void)keep(session, session->connect);
    keep_effects(&session->message_effects, session->message, &session->connect_effects);
    (void)effects_add_edits(&session->edits, session->message, &session->connect_effects.edits);

    struct verdict verdict = msa_rules_check_login(session).verdict;

    if (verdict.kind == VERDICT_CONTINUE) {
        verdict = msa_rules_check_sender(session, session->sender).verdict;
    }
    if (verdict_is_refusal(&verdict)) {
        return verdict;
    }
    if (has(session, FEATURE_DELAY_CHECKS)) {
        dns_sender_expect(session, session->sender);
        return verdict_continue();
    }
    verdict = run_check(session, check_mail, NULL);
    if (verdict.kind == VERDICT_WAIT) {
        session->waiting = true;
        return verdict;
    }
    verdict = settle(session, verdict, false);
    keep_effects(&session->message_effects, session->message, &session->effects);
    return verdict;
}

/* With delay_checks check_mail is asked for Sendmail's $f, in brackets. */
static const char *sender_for_delayed_check(struct session *session)
{
    struct canonical sender;
    struct reply error;

    if (canonical_is_empty(session->sender) ||
        !canonical_sender(session, session->sender, &sender, &error)) {
        return session->sender;
    }
    return arena_printf(session->scratch, "<%s>", canonical_typed(session, &sender));
}

/* The client, then lists of senders: it may be spared these. One whose mail is held or dropped is not. */
static struct rules_result check_delayed_client(struct session *session)
{
    struct rules_result client = client_rules_check(session);

    client.accepted = false; /* block_bad_helo is asked even so */
    if (verdict_is_final(&client.verdict)) {
        return client;
    }
    struct rules_result lists = dns_sender_check_lists(session);
    bool decided = client.verdict.kind == VERDICT_CONTINUE ? rules_decided(&lists)
                                                           : verdict_is_final(&lists.verdict);

    return decided ? lists : client;
}

/* What delay_checks put off: friends and haters, the sender, the client, HELO. */
static struct verdict delayed_checks(struct session *session, const char *recipient)
{
    struct rules_result result = recipient_rules_check_spared(session, recipient);

    session->later = false;
    if (!rules_decided(&result)) {
        result = sender_rules_check(session, sender_for_delayed_check(session));
    }
    result = rules_decided(&result) ? result : check_delayed_client(session);
    if (!rules_decided(&result)) {
        struct rules_result helo = client_rules_check_helo(session);

        result = rules_decided(&helo) ? helo : result;
    }
    return result.verdict;
}

/* May it be relayed, where postern decides that; and did the client prove who it is? */
static struct relay_result relay_check(struct session *session, const struct canonical *recipient,
                                       bool permitted, const char *mailer)
{
    struct relay_result relay = {.result = rules_nothing()};

    if (session->relay_control == RELAY_CONTROL_MILTER) {
        return relay_rules_check(session, recipient, permitted, mailer);
    }
    if (has(session, FEATURE_DELAY_CHECKS) && !has(session, FEATURE_PROMISCUOUS_RELAY)) {
        /* If that cannot be known, the checks that it would spare ask the same map. */
        (void)!relay_rules_client_trusted(session, &relay.trusted);
    }
    return relay;
}

struct recipient {
    const char *typed;
    const char *mailer;
};

/* All but Compat: entries. */
static struct verdict check_recipient(struct session *session, const void *arguments)
{
    const struct recipient *asked = arguments;
    struct canonical recipient = {0};
    struct verdict put_off = finish_put_off(session);

    if (verdict_is_final(&put_off)) {
        return put_off;
    }
    struct rules_result result = msa_rules_check_recipient(session, asked->typed);

    if (result.verdict.kind == VERDICT_CONTINUE) {
        result = recipient_rules_check(session, asked->typed, &recipient);
    }
    /* DISCARD lets nothing out, so nobody is asked whether it may go. QUARANTINE only holds it for a while. */
    if (verdict_is_refusal(&result.verdict) || result.verdict.kind == VERDICT_DISCARD) {
        return result.verdict;
    }
    struct relay_result relay = relay_check(session, &recipient, result.relays, asked->mailer);

    if (verdict_is_final(&relay.result.verdict)) {
        return relay.result.verdict;
    }
    if (result.verdict.kind != VERDICT_CONTINUE || !has(session, FEATURE_DELAY_CHECKS)) {
        return put_off.kind == VERDICT_CONTINUE ? result.verdict : put_off;
    }
    if (relay.trusted) {
        rules_note(session, "delay_checks: a trusted login or certificate skips all later checks");
        return result.verdict;
    }
    return delayed_checks(session, asked->typed);
}

struct verdict stage_rcpt(struct session *session, const char *recipient, const char *mailer)
{
    const struct recipient asked = {recipient, mailer};

    begin(session);

    struct verdict verdict = run_check(session, check_recipient, &asked);

    if (verdict.kind == VERDICT_WAIT) {
        return verdict;
    }
    dns_questions_forget(session, DNS_SPAN_RECIPIENT);
    if (!verdict_is_refusal(&verdict)) {
        session->put_off = 0;
        (void)keep(session, verdict);

        struct verdict compat = compat_rules_check(session, recipient).verdict;

        verdict = compat.kind == VERDICT_CONTINUE ? verdict : compat;
    }
    verdict = relay_limits_charge(session, recipient, verdict);
    verdict = settle(session, verdict, true);
    if (!verdict_is_refusal(&verdict)) {
        session->recipients++;
        session->dropped += verdict.kind == VERDICT_DROP;
    }
    return verdict;
}

/* ---- relaying alone ---- */

/* A sender that mail programs may take for another is none: then relay_mail_from and the like say nothing. */
static const char *sender_in_brackets(struct session *session, const char *sender)
{
    return address_is_plain(sender) ? arena_printf(session->scratch, "<%s>", sender) : "<>";
}

struct verdict stage_relay(struct session *session, const struct session_login *login,
                           const char *sender, const char *recipient)
{
    struct canonical canonical = {0};
    struct reply error;
    bool permitted = false;

    session_reset_message(session);
    begin(session);
    set_message_facts(session, login, sender_in_brackets(session, sender));

    bool judged = address_is_plain(recipient) &&
                  canonical_recipient(session, arena_printf(session->scratch, "<%s>", recipient),
                                      &canonical, &error);

    if (judged) {
        permitted = regex_rules_check_recipient(session, &canonical).relays;
    } else {
        rules_note(session, "relaying: the recipient can be taken for another one, so only the "
                            "client can permit it");
    }
    struct relay_result relay = relay_rules_check(session, judged ? &canonical : NULL, permitted,
                                                  NULL);

    return relay_limits_charge(session, recipient, relay.result.verdict);
}

/* ---- the message ---- */

struct verdict stage_header(struct session *session, const char *name, const char *value)
{
    arena_reset(session->scratch);
    return message_headers_field(session, name, value);
}

struct verdict stage_eoh(struct session *session)
{
    arena_reset(session->scratch);
    message_headers_end(session);
    return session->refusal;
}

struct verdict stage_body(struct session *session, const void *chunk, size_t len)
{
    arena_reset(session->scratch);
    message_headers_body(session, chunk, len);
    return session->refusal;
}

struct verdict stage_eom(struct session *session)
{
    arena_reset(session->scratch);
    message_headers_finish(session);
    if (verdict_is_refusal(&session->refusal)) {
        return session->refusal;
    }
    if (session->dropped > 0 && session->dropped == session->recipients) {
        return (struct verdict){.kind = VERDICT_DISCARD, .reason = "compat_check"};
    }
    if (session->discard.kind == VERDICT_DISCARD) {
        return session->discard;
    }
    if (session->quarantine.kind == VERDICT_QUARANTINE) {
        return session->quarantine;
    }
    return verdict_continue();
}
