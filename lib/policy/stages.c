/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/stages.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/canonical.h"
#include "lib/policy/client_rules.h"
#include "lib/policy/recipient_rules.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/sender_rules.h"

#include <string.h>

static bool has(const struct session *session, enum config_feature feature)
{
    return config_has(ruleset_config(session->ruleset), feature);
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

static void set_message_facts(struct session *session, const struct session_login *login,
                              const char *sender)
{
    struct arena *arena = session->message;

    if (login != NULL && login->type != NULL) {
        session->login.type = arena_strdup(arena, login->type);
    }
    if (login != NULL && login->authen != NULL) {
        session->login.authen = arena_strdup(arena, login->authen);
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
        canonical_sender(session, session->sender, &sender, &error) != STATUS_OK) {
        return session->sender;
    }
    return arena_printf(session->scratch, "<%s>", sender.typed);
}

/* What delay_checks put off: SEMANTICS.md section 11, steps 2 to 5. */
static struct verdict delayed_checks(struct session *session, const char *recipient)
{
    if (!has(session, FEATURE_PROMISCUOUS_RELAY) && recipient_rules_login_trusted(session)) {
        rules_note(session, "delay_checks: a trusted login skips all later checks");
        return verdict_continue();
    }
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

struct verdict stage_rcpt(struct session *session, const char *recipient)
{
    arena_reset(session->scratch);

    struct rules_result result = recipient_rules_check(session, recipient);
    struct verdict verdict = result.verdict;

    if (verdict.kind == VERDICT_CONTINUE && has(session, FEATURE_DELAY_CHECKS)) {
        verdict = delayed_checks(session, recipient);
    }
    if (!verdict_is_refusal(&verdict)) {
        session->recipients++;
    }
    return keep(session, verdict);
}

struct verdict stage_eom(struct session *session)
{
    if (session->discard.kind == VERDICT_DISCARD) {
        return session->discard;
    }
    if (session->quarantine.kind == VERDICT_QUARANTINE) {
        return session->quarantine;
    }
    return verdict_continue();
}
