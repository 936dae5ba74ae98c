/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/relay_rules.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/classes.h"
#include "lib/policy/dns_client.h"
#include "lib/policy/dns_relay.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/relay_answer.h"
#include "lib/policy/relay_limits.h"
#include "lib/policy/relay_login.h"
#include "lib/policy/relay_recipient.h"
#include "lib/policy/ruleset.h"

#include <string.h>

static bool has(const struct session *session, enum config_feature feature)
{
    return session_has(session, feature);
}

/* ---- who the client proved to be ---- */

static bool login_is_trusted(const struct session *session)
{
    const struct config_list *trusted = &ruleset_config(session->ruleset)->trust_auth_mech;

    for (size_t i = 0; i < trusted->count && *session->login.type != '\0'; i++) {
        if (domain_equal(trusted->items[i], session->login.type) ||
            domain_equal(trusted->items[i], "any")) {
            return true;
        }
    }
    return false;
}

/*
 * Sendmail passes whole names ("/C=XY/O=Example") of any certificate, and says in {verify} what it thinks of it. Postfix
 * has no {verify}: it passes names only of certificates that it trusts. They are common names, which any CA that it
 * trusts may put into a certificate, so they count only where the administrator says so.
 */
static bool certificate_counts(const struct session *session)
{
    const struct session_login *login = &session->login;
    bool whole = *login->cert_issuer == '/' && *login->cert_subject == '/';

    if (*login->cert_issuer == '\0' || *login->cert_subject == '\0') {
        return false;
    }
    if (!domain_equal(login->verify, "OK") && !domain_equal(login->verify, "TRUSTED") &&
        (whole || *login->verify != '\0')) {
        return false;
    }
    if (!whole && ruleset_config(session->ruleset)->certificate != CERTIFICATE_CN) {
        rules_note(session, "relaying: the MTA passes common names of certificates only; "
                            "relay_by_certificate = \"cn\" would take them");
        return false;
    }
    return true;
}

/* As Sendmail has names in keys, which can hold no blanks: such bytes are "+" and two hexadecimal digits. */
static const char *common_name_key(struct session *session, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *key = arena_alloc(session->scratch, 3 * strlen(name) + 1);
    char *end = key;

    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;

        if (byte > ' ' && byte < 127 && strchr("+<>()\"", byte) == NULL) {
            *end++ = *name;
        } else {
            *end++ = '+';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 15];
        }
    }
    *end = '\0';
    return key;
}

static struct access_match find_name(struct session *session, const char *tag, const char *name)
{
    struct access_search search = access_search_init(session, tag, true);

    return access_find_exact(&search, *name == '/' ? name : common_name_key(session, name));
}

/* CertIssuer: RELAY is enough; SUBJECT asks for CertSubject: as well. */
static enum relay_answer ask_certificate(struct session *session)
{
    if (!certificate_counts(session)) {
        return RELAY_NO;
    }
    struct access_match match = find_name(session, "certissuer:", session->login.cert_issuer);

    if (match.status != STATUS_OK || match.action.kind != ACTION_SUBJECT) {
        return relay_answer_of(&match);
    }
    match = find_name(session, "certsubject:", session->login.cert_subject);
    return relay_answer_of(&match);
}

enum status relay_rules_client_trusted(struct session *session, bool *trusted_out)
{
    enum relay_answer certificate = ask_certificate(session);

    *trusted_out = true;
    if (certificate == RELAY_YES) {
        rules_note(session, "the client certificate may relay");
        return STATUS_OK;
    }
    if (login_is_trusted(session)) {
        rules_note(session, "the client logged in with a trusted mechanism");
        return STATUS_OK;
    }
    *trusted_out = false;
    return certificate == RELAY_UNKNOWN ? STATUS_TEMPFAIL : STATUS_OK;
}

/* ---- is it for us? ---- */

static bool mailer_proves_local(const struct session *session, const char *mailer)
{
    const struct config_list *local = &ruleset_config(session->ruleset)->local_mailers;

    for (size_t i = 0; i < local->count && mailer != NULL; i++) {
        if (domain_equal(local->items[i], mailer)) {
            return true;
        }
    }
    return false;
}

/* ---- is it from whom we relay for? ---- */

static bool is_loopback(const struct session *session)
{
    const char *addr = session->client_addr;

    return *addr == '\0' || strcmp(addr, "127.0.0.1") == 0 ||
           strcmp(addr, "IPv6:0:0:0:0:0:0:0:1") == 0;
}

static enum relay_answer ask_pattern(struct session *session)
{
    bool relays;

    if (regex_rules_client_relays(session, &relays) != STATUS_OK) {
        return RELAY_UNKNOWN;
    }
    return relays ? relay_answer_yes(session, "relaying: a Connect: pattern says RELAY") : RELAY_NO;
}

static enum relay_answer ask_address(struct session *session)
{
    struct access_search search = access_search_init(session, "connect:", false);

    if (is_loopback(session)) {
        return relay_answer_yes(session, "relaying: the client is this host");
    }
    if (classes_is_relay_client(session)) {
        return relay_answer_yes(session, "relaying: the client's address is in relay_domains");
    }
    struct access_match match = access_find_client(&search);
    enum relay_answer answer = relay_answer_of(&match);

    if (answer == RELAY_NO &&
        classes_is_local(session, arena_printf(session->scratch, "[%s]", session->client_addr))) {
        return relay_answer_yes(session, "relaying: the client's address is one of our own");
    }
    return answer;
}

static enum relay_answer ask_sender(struct session *session)
{
    struct access_search search = access_search_init(session, "from:", true);
    struct canonical typed;
    struct canonical sender; /* of $f, as Sendmail asks: "localhost." has become localhost in it */
    struct reply error;

    if ((!has(session, FEATURE_RELAY_LOCAL_FROM) && !has(session, FEATURE_RELAY_MAIL_FROM)) ||
        session->sender == NULL || canonical_is_empty(session->sender) ||
        !canonical_sender(session, session->sender, &typed, &error) ||
        !canonical_sender(session, canonical_typed(session, &typed), &sender, &error) ||
        sender.domain == NULL) {
        return RELAY_NO;
    }
    if (has(session, FEATURE_RELAY_LOCAL_FROM) && sender.is_local) {
        return relay_answer_yes(
            session, "relaying: relay_local_from, and the envelope sender claims to be local");
    }
    if (!has(session, FEATURE_RELAY_MAIL_FROM)) {
        return RELAY_NO;
    }
    struct access_match match = access_find_full(&search, sender.local, sender.domain);

    if (match.status == STATUS_NOTFOUND && has(session, FEATURE_RELAY_MAIL_FROM_DOMAIN)) {
        match = has(session, FEATURE_RELAY_HOSTS_ONLY) ? access_find_exact(&search, sender.domain)
                                                       : access_find_domain(&search, sender.domain);
    }
    return relay_answer_of(&match);
}

/* How to ask where the client comes from, and what came of it. */
struct origin {
    bool logins;                     /* a login to POP or IMAP is enough */
    bool unknown;                    /* something cannot be asked */
    const struct relay_found *login; /* that permits; NULL: none */
};

/*
 * All that does not hang on the client's name. A login permits also where the map cannot be read: it says nothing of the
 * map.
 */
static enum relay_answer ask_origin(struct session *session, struct origin *origin)
{
    enum relay_answer answer = ask_pattern(session);

    if (answer == RELAY_YES) {
        return answer;
    }
    origin->unknown = origin->unknown || answer == RELAY_UNKNOWN;
    answer = ask_address(session);
    if (answer != RELAY_YES && origin->logins) {
        origin->login = relay_login_find(session);
        answer = origin->login != NULL ? RELAY_YES : answer;
    }
    return answer == RELAY_NO ? ask_sender(session) : answer;
}

static enum relay_answer ask_name(struct session *session)
{
    struct access_search search = access_search_init(session, "connect:", false);
    const char *name = session->client_name;

    if (has(session, FEATURE_RELAY_ENTIRE_DOMAIN) && classes_is_own_domain(session, name)) {
        return relay_answer_yes(session, "relaying: the client's name is in local_domains");
    }
    if (classes_is_local(session, name)) {
        return relay_answer_yes(session, "relaying: the client's name is one of our own");
    }
    if (classes_is_relay_domain(session, name)) {
        return relay_answer_yes(session, "relaying: the client's name is in relay_domains");
    }
    struct access_match match = has(session, FEATURE_RELAY_HOSTS_ONLY)
                                    ? access_find_exact(&search, name)
                                    : access_find_domain(&search, name);

    return relay_answer_of(&match);
}

/* A client whose name does not stand is not asked for by name. */
static struct rules_result refuse_unresolved(struct session *session)
{
    struct arena *arena = session->scratch;
    const char *reason = "relay";
    enum session_resolve resolve;

    if (!dns_client_resolve(session, &resolve)) {
        return rules_wait();
    }
    switch (resolve) {
    case RESOLVE_TEMP:
        return rules_refuse(
            450, "4.4.0",
            arena_printf(arena, "Relaying temporarily denied. Cannot resolve PTR record for %s",
                         session->client_addr),
            reason);
    case RESOLVE_FORGED:
        return rules_refuse(550, "5.7.1",
                            arena_printf(arena, "Relaying denied. IP name possibly forged %s",
                                         session->client_name),
                            reason);
    case RESOLVE_FAIL:
        return rules_refuse(
            550, "5.7.1",
            arena_printf(arena, "Relaying denied. IP name lookup failed %s", session->client_name),
            reason);
    case RESOLVE_OK:
        break;
    }
    return rules_nothing();
}

static struct rules_result relay_denied(struct session *session)
{
    const struct config *config = ruleset_config(session->ruleset);

    return (struct rules_result){.verdict = verdict_refuse(config->relay, "relay")};
}

enum status relay_rules_client_relays(struct session *session, bool *relays_out)
{
    enum status status = relay_rules_client_trusted(session, relays_out);

    if (status != STATUS_OK || *relays_out) {
        return status;
    }
    struct origin origin = {.logins = true};
    enum relay_answer answer = ask_origin(session, &origin);

    if (answer == RELAY_NO && session->resolve == RESOLVE_OK) {
        answer = ask_name(session);
    }
    *relays_out = answer == RELAY_YES;
    return answer == RELAY_UNKNOWN || (origin.unknown && !*relays_out) ? STATUS_TEMPFAIL
                                                                       : STATUS_OK;
}

/* What the client is says whether it may relay. `unknown`: the recipient could not be judged. `logins`: a login is enough. */
static struct rules_result check_client(struct session *session, bool unknown, bool logins)
{
    struct origin origin = {.logins = logins, .unknown = unknown};
    enum relay_answer answer = ask_origin(session, &origin);

    if (answer == RELAY_NO) {
        struct rules_result unresolved = refuse_unresolved(session);

        if (unresolved.verdict.kind != VERDICT_CONTINUE) {
            return unresolved;
        }
        answer = ask_name(session);
    }
    if (answer == RELAY_YES) {
        relay_limits_grant(session, origin.login);
        return rules_nothing();
    }
    return answer == RELAY_UNKNOWN || origin.unknown ? rules_tempfail("relay")
                                                     : relay_denied(session);
}

/* `unknown`: who the client proved to be could not be judged. */
static struct rules_result check(struct session *session, const struct canonical *recipient,
                                 bool permitted, const char *mailer, bool unknown)
{
    bool refused_form = recipient == NULL || relay_recipient_hides_host(session, recipient);
    enum relay_answer answer = RELAY_NO;

    if (!refused_form) {
        if (recipient->domain == NULL) {
            rules_note(session, "relaying: the recipient has no domain and is local");
            return rules_nothing();
        }
        answer = relay_recipient_ask(session, recipient, permitted);
    }
    if (answer == RELAY_NO && !refused_form && mailer_proves_local(session, mailer)) {
        answer = relay_answer_yes(
            session, "relaying: the MTA delivers the recipient locally ({rcpt_mailer})");
    }
    if (answer == RELAY_YES) {
        return rules_nothing();
    }
    unknown = unknown || answer == RELAY_UNKNOWN;

    /* With limits a login is the last reason that is looked for: what has another one is not limited. */
    bool limited = relay_limits_are_set(ruleset_config(session->ruleset));
    struct rules_result result = check_client(session, unknown, !limited);

    if (!refused_form && !unknown) {
        result = dns_relay_check(session, recipient, result);
    }
    return limited ? relay_limits_check(session, result) : result;
}

struct relay_result relay_rules_check(struct session *session, const struct canonical *recipient,
                                      bool permitted, const char *mailer)
{
    struct relay_result relay = {.result = rules_nothing()};

    if (has(session, FEATURE_PROMISCUOUS_RELAY)) {
        rules_note(session, "relaying: promiscuous_relay");
        return relay;
    }
    bool unknown = relay_rules_client_trusted(session, &relay.trusted) != STATUS_OK;

    if (!relay.trusted) {
        relay.result = check(session, recipient, permitted, mailer, unknown);
    }
    return relay;
}
