/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/stages.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/canonical.h"
#include "lib/policy/client_rules.h"
#include "lib/policy/compat_rules.h"
#include "lib/policy/msa_rules.h"
#include "lib/policy/recipient_rules.h"
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
    return verdict;
}

/* Was it the same line of the same file? Thousands of recipients must not add up to thousands of copies. */
static bool same_rule(const struct verdict *a, const struct verdict *b)
{
    return a->kind == b->kind && a->rule.file == b->rule.file && a->rule.line == b->rule.line;
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

/* Has this result decided the stage, so that nothing further is asked? */
static bool decides(const struct rules_result *result)
{
    return result->accepted || result->verdict.kind != VERDICT_CONTINUE;
}

struct verdict stage_connect(struct session *session)
{
    arena_reset(session->scratch);
    session->connect = verdict_continue();
    if (!has(session, FEATURE_DELAY_CHECKS)) {
        session->connect = copy_to(session->arena, client_rules_check(session).verdict);
    }
    return session->connect;
}

struct verdict stage_helo(struct session *session, const char *name)
{
    size_t len = name == NULL ? 0 : strnlen(name, DOMAIN_MAX_LEN);

    memcpy(session->helo, name == NULL ? "" : name, len);
    session->helo[len] = '\0';
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

struct verdict stage_mail(struct session *session, const struct session_login *login,
                          const char *sender)
{
    session_reset_message(session);
    set_message_facts(session, login, sender);
    if (verdict_is_refusal(&session->connect)) {
        return session->connect;
    }
    (void)keep(session, session->connect);

    struct verdict msa = msa_rules_check_login(session).verdict;

    if (msa.kind == VERDICT_CONTINUE) {
        msa = msa_rules_check_sender(session, session->sender).verdict;
    }
    if (verdict_is_refusal(&msa)) {
        return msa;
    }
    if (has(session, FEATURE_DELAY_CHECKS)) {
        return verdict_continue();
    }
    struct rules_result result = sender_rules_check(session, session->sender);
    struct verdict verdict = keep(session, result.verdict);

    if (verdict_is_refusal(&verdict) || result.accepted) {
        return verdict;
    }
    struct verdict helo = client_rules_check_helo(session).verdict;

    return verdict_is_refusal(&helo) ? helo : verdict;
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

/* What delay_checks put off: friends and haters, the sender, the client, HELO. */
static struct verdict delayed_checks(struct session *session, const char *recipient)
{
    struct rules_result result = recipient_rules_check_spared(session, recipient);

    if (!decides(&result)) {
        result = sender_rules_check(session, sender_for_delayed_check(session));
    }
    if (!decides(&result)) {
        result = client_rules_check(session);
        result.accepted = false; /* block_bad_helo is asked even so */
    }
    if (!decides(&result)) {
        struct rules_result helo = client_rules_check_helo(session);

        result = decides(&helo) ? helo : result;
    }
    return result.verdict;
}

/* May it be relayed, where postern decides that; and did the client prove who it is? */
static struct relay_result relay_check(struct session *session, const struct canonical *recipient,
                                       const char *mailer)
{
    struct relay_result relay = {.result = rules_nothing()};

    if (session->relay_control == RELAY_CONTROL_MILTER) {
        return relay_rules_check(session, recipient, mailer);
    }
    if (has(session, FEATURE_DELAY_CHECKS) && !has(session, FEATURE_PROMISCUOUS_RELAY)) {
        /* If that cannot be known, the checks that it would spare ask the same map. */
        (void)!relay_rules_client_trusted(session, &relay.trusted);
    }
    return relay;
}

/* All but Compat: entries. */
static struct verdict check_recipient(struct session *session, const char *typed,
                                      const char *mailer)
{
    struct canonical recipient = {0};
    struct rules_result result = msa_rules_check_recipient(session, typed);

    if (result.verdict.kind == VERDICT_CONTINUE) {
        result = recipient_rules_check(session, typed, &recipient);
    }
    /* DISCARD lets nothing out, so nobody is asked whether it may go. QUARANTINE only holds it for a while. */
    if (verdict_is_refusal(&result.verdict) || result.verdict.kind == VERDICT_DISCARD) {
        return result.verdict;
    }
    struct relay_result relay = relay_check(session, &recipient, mailer);

    if (verdict_is_refusal(&relay.result.verdict)) {
        return relay.result.verdict;
    }
    if (result.verdict.kind != VERDICT_CONTINUE || !has(session, FEATURE_DELAY_CHECKS)) {
        return result.verdict;
    }
    if (relay.trusted) {
        rules_note(session, "delay_checks: a trusted login or certificate skips all later checks");
        return result.verdict;
    }
    return delayed_checks(session, typed);
}

struct verdict stage_rcpt(struct session *session, const char *recipient, const char *mailer)
{
    arena_reset(session->scratch);

    struct verdict verdict = check_recipient(session, recipient, mailer);

    if (verdict_is_refusal(&verdict)) {
        return verdict;
    }
    (void)keep(session, verdict);

    struct verdict compat = compat_rules_check(session, recipient).verdict;

    if (verdict_is_refusal(&compat)) {
        return compat;
    }
    session->recipients++;
    if (compat.kind == VERDICT_DROP) {
        session->dropped++;
        return compat;
    }
    return verdict;
}

/* ---- the message ---- */

struct verdict stage_header(struct session *session, const char *name, const char *value)
{
    arena_reset(session->scratch);
    (void)name;
    (void)value;
    return verdict_continue();
}

struct verdict stage_eoh(struct session *session)
{
    arena_reset(session->scratch);
    return session->refusal;
}

struct verdict stage_body(struct session *session, const void *chunk, size_t len)
{
    arena_reset(session->scratch);
    (void)chunk;
    (void)len;
    return session->refusal;
}

struct verdict stage_eom(struct session *session)
{
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
