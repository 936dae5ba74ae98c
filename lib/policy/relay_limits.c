/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/relay_limits.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/classes.h"
#include "lib/policy/effects.h"
#include "lib/policy/relay_login.h"
#include "lib/policy/ruleset.h"
#include "lib/relay/relay_lookup.h"

#include <string.h>
#include <strings.h>

/* Recipients of a message whose names are remembered. */
#define NAMES_MAX 1000u

static const char senders_of_user[] = "grant_senders";
static const char per_message[] = "recipients_per_message";
static const char per_hour[] = "recipients_per_hour";

static const struct config_relay_store *terms(const struct session *session)
{
    return &ruleset_config(session->ruleset)->relay_store;
}

bool relay_limits_are_set(const struct config *config)
{
    const struct config_relay_store *store = &config->relay_store;

    return store->grant_senders != GRANT_SENDERS_ANY || store->recipients_per_message > 0 ||
           store->recipients_per_hour > 0;
}

/* ---- replies ---- */

static struct rules_result refuse_sender(void)
{
    return rules_refuse(550, "5.7.1",
                        "Relaying denied. The login of this address permits its own senders only",
                        senders_of_user);
}

static struct verdict refuse_message(void)
{
    return rules_refuse(452, "4.5.3",
                        "Too many recipients of one message that is relayed because of a login",
                        per_message)
        .verdict;
}

static struct verdict refuse_hour(void)
{
    return rules_refuse(450, "4.7.1",
                        "Too many recipients within an hour that are relayed because of a login",
                        per_hour)
        .verdict;
}

static struct verdict cannot_count(void)
{
    return rules_tempfail(per_hour).verdict;
}

bool relay_limits_is_temporary(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_TEMPFAIL && verdict->reason != NULL &&
           (strcmp(verdict->reason, per_message) == 0 || strcmp(verdict->reason, per_hour) == 0);
}

const char *relay_limits_reason(const struct verdict *verdict)
{
    const char *const reasons[] = {senders_of_user, per_message, per_hour};

    for (size_t i = 0; verdict->reason != NULL && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(verdict->reason, reasons[i]) == 0) {
            return reasons[i];
        }
    }
    return NULL;
}

/* ---- senders ---- */

/*
 * Is the envelope sender the user's own, or (`whole_domain`) one of its domain? Only a sender that all mail programs take for the
 * same; the sender of a bounce is nobody's. A user without a domain is one of our own.
 */
static bool is_own_sender(struct session *session, const char *user, bool whole_domain)
{
    const char *sender = address_strip(session->scratch, session->sender);

    if (*user == '\0' || !address_is_plain(sender)) {
        return false;
    }
    const char *at = strrchr(sender, '@');
    const char *user_at = strrchr(user, '@');
    const char *domain = domain_normalize(session->scratch, at + 1);
    size_t len = user_at == NULL ? strlen(user) : (size_t)(user_at - user);

    if (user_at == NULL ? !classes_is_local(session, domain)
                        : !domain_equal(domain, domain_normalize(session->scratch, user_at + 1))) {
        return false;
    }
    return whole_domain || (len == (size_t)(at - sender) && strncasecmp(user, sender, len) == 0);
}

static bool may_send(struct session *session, const struct relay_found *login)
{
    enum config_grant_senders senders = terms(session)->grant_senders;

    if (senders == GRANT_SENDERS_ANY ||
        is_own_sender(session, login->user, senders == GRANT_SENDERS_DOMAIN)) {
        return true;
    }
    rules_note(session, *login->user == '\0' ? "relaying: grant_senders: the login names no user"
                        : senders == GRANT_SENDERS_DOMAIN
                            ? "relaying: grant_senders: the sender is not of the user's domain"
                            : "relaying: grant_senders: the sender is not the user's address");
    return false;
}

struct rules_result relay_limits_check(struct session *session, struct rules_result refusal)
{
    const struct relay_found *login;

    if (!verdict_is_refusal(&refusal.verdict) || (login = relay_login_find(session)) == NULL) {
        return refusal;
    }
    if (may_send(session, login)) {
        relay_limits_grant(session, login);
        return rules_nothing();
    }
    /* What may be permitted later, for another reason, is not refused for good. */
    return refusal.verdict.kind == VERDICT_TEMPFAIL ? refusal : refuse_sender();
}

/* ---- numbers ---- */

void relay_limits_grant(struct session *session, const struct relay_found *login)
{
    session->grant = login;
}

/* A recipient that was counted for this message; in its arena. */
struct relay_granted {
    struct relay_granted *next;
    const char *name;
};

/* A client may name a recipient twice, and it is one. Of very many the first ones are known. */
static bool is_counted(const struct session *session, const char *recipient)
{
    const struct relay_granted *at = session->granted_names;

    while (at != NULL && strcmp(at->name, recipient) != 0) {
        at = at->next;
    }
    return at != NULL;
}

static void count(struct session *session, const char *recipient)
{
    if (session->granted++ < NAMES_MAX && relay_limits_are_set(ruleset_config(session->ruleset))) {
        struct relay_granted *granted = arena_alloc(session->message, sizeof(*granted));

        granted->name = arena_strdup(session->message, recipient);
        granted->next = session->granted_names;
        session->granted_names = granted;
    }
}

static struct verdict charge_hour(struct session *session, struct verdict verdict)
{
    const struct relay_lookup *relayers = session->relayers;
    unsigned limit = terms(session)->recipients_per_hour;

    if (relayers->charge == NULL) {
        if (limit > 0) {
            rules_note(
                session,
                "relaying: recipients_per_hour: this recipient would be counted, and refused if there "
                "were as many as may be: see posternctl relay stats");
        }
        return verdict;
    }
    switch (relayers->charge(relayers->ctx, &session->grant->addr, limit)) {
    case STATUS_OK:
        break;
    case STATUS_NOTFOUND:
        rules_note(session, "relaying: recipients_per_hour: there were as many as may be");
        return refuse_hour();
    case STATUS_TEMPFAIL:
    case STATUS_INVALID:
        if (limit > 0) {
            rules_note(session, "relaying: recipients_per_hour: they cannot be counted now");
            return cannot_count();
        }
        break;
    }
    return verdict;
}

struct verdict relay_limits_charge(struct session *session, const char *recipient,
                                   struct verdict verdict)
{
    const struct verdict outcome = effects_defer(&session->effects, &session->message_effects,
                                                 verdict, true);
    unsigned limit = terms(session)->recipients_per_message;

    if (session->grant == NULL || session->grants_counted || verdict_is_final(&outcome) ||
        outcome.kind == VERDICT_DISCARD || outcome.kind == VERDICT_DROP ||
        is_counted(session, recipient)) {
        return verdict;
    }
    if (limit > 0 && session->granted_before + session->granted >= limit) {
        rules_note(session, "relaying: recipients_per_message: there were as many as may be");
        return refuse_message();
    }
    verdict = charge_hour(session, verdict);
    if (!verdict_is_refusal(&verdict)) {
        count(session, recipient);
    }
    return verdict;
}
