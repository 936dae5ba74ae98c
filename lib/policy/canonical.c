/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/canonical.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/access_rules.h"
#include "lib/policy/classes.h"
#include "lib/policy/ruleset.h"

#include <string.h>
#include <strings.h>

/* Sendmail gives up after 50 rewrites of one address (MaxRuleRecursion). */
#define MAX_REWRITES 50

static struct address_operators operators_of(const struct session *session)
{
    const struct config *config = ruleset_config(session->ruleset);

    return (struct address_operators){
        .percent = !config_has(config, FEATURE_NOPERCENTHACK_NOSPECIAL) &&
                   !config_has(config, FEATURE_NOPERCENTHACK_REJECT),
        .bang = !config_has(config, FEATURE_NOUUCP_NOSPECIAL) &&
                !config_has(config, FEATURE_NOUUCP_REJECT),
    };
}

bool canonical_is_empty(const char *typed)
{
    while (*typed == ' ' || *typed == '\t') {
        typed++;
    }
    if (*typed == '\0') {
        return true;
    }
    if (*typed++ != '<') {
        return false;
    }
    while (*typed == ' ' || *typed == '\t') {
        typed++;
    }
    return *typed == '>';
}

/* "localhost", "localhost.<own domain>", "localhost.UUCP" */
static bool is_localhost(const struct session *session, const char *domain)
{
    if (strncasecmp(domain, "localhost", 9) != 0) {
        return false;
    }
    const char *rest = domain + 9;

    return *rest == '\0' ||
           (*rest == '.' && *session->domain != '\0' && domain_equal(rest + 1, session->domain)) ||
           (domain_equal(rest, ".uucp") && operators_of(session).bang);
}

/* IPv6 in a literal is written out in full, as Sendmail does. */
static const char *normalize_literal(struct session *session, const char *domain)
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr addr;
    size_t len = strlen(domain);

    if (strncasecmp(domain, "[ipv6:", 6) != 0) {
        return domain;
    }
    const char *inner = arena_strndup(session->scratch, domain + 1, len - 2);

    if (!netaddr_parse(inner, &addr) || addr.family != NETADDR_IPV6) {
        return domain;
    }
    char *literal = arena_printf(session->scratch, "[%s]", netaddr_format(&addr, text));

    domain_fold(literal);
    return literal;
}

static const char *canonical_domain(struct session *session, const char *typed)
{
    if (is_localhost(session, typed)) {
        return session->hostname;
    }
    const char *domain = domain_normalize(session->scratch, typed);

    if (domain_is_literal(domain)) {
        return classes_is_local(session, domain) ? session->hostname
                                                 : normalize_literal(session, domain);
    }
    return domain;
}

static enum status invalid(struct reply *error_out, const char *dsn, const char *text)
{
    *error_out = reply_make(553, dsn, text);
    return STATUS_INVALID;
}

/* One address until no own host is left in front of another: ruleset 3 and the start of ruleset 0. */
static enum status canonify(struct session *session, const char *text, struct canonical *out,
                            struct reply *error_out)
{
    struct address_operators operators = operators_of(session);
    struct address address;

    for (int rewrites = 0; rewrites < MAX_REWRITES; rewrites++) {
        if (!address_split(session->scratch, text, operators, &address, error_out)) {
            return STATUS_INVALID;
        }
        out->typed = text;
        out->domain = address.domain == NULL ? NULL : canonical_domain(session, address.domain);
        out->is_local = out->domain != NULL && classes_is_local(session, out->domain);
        out->local = address.local;
        if (out->domain != NULL && !out->is_local) {
            return STATUS_OK;
        }
        out->local = address_dequote(session->scratch, address.local);
        if (*out->local == '\0') {
            return invalid(error_out, "5.1.3", "User address required");
        }
        if (!address_has_operator(out->local, operators)) {
            return STATUS_OK;
        }
        text = out->local;
    }
    return invalid(error_out, "5.1.3", "User address required");
}

static enum status start(struct session *session, const char *typed, const char **text_out,
                         struct reply *error_out)
{
    if (strlen(typed) > ADDRESS_MAX_LEN) {
        return invalid(error_out, "5.1.0", "Address too long");
    }
    *text_out = address_strip(session->scratch, typed);
    return **text_out == '\0' ? invalid(error_out, "5.1.3", "User address required") : STATUS_OK;
}

enum status canonical_sender(struct session *session, const char *typed, struct canonical *out,
                             struct reply *error_out)
{
    const char *text;
    enum status status = start(session, typed, &text, error_out);

    if (status != STATUS_OK) {
        return status;
    }
    status = canonify(session, text, out, error_out);
    if (status == STATUS_OK) {
        out->local = address_dequote(session->scratch, out->local);
    }
    return status;
}

/* Do we relay for this domain? RELAY in the map, or class m or R. */
static enum status relays_for(struct session *session, const char *domain, bool *relays_out)
{
    const struct config *config = ruleset_config(session->ruleset);

    *relays_out = (config_has(config, FEATURE_RELAY_ENTIRE_DOMAIN) &&
                   classes_is_own_domain(session, domain)) ||
                  classes_is_relay_domain(session, domain);
    if (*relays_out) {
        return STATUS_OK;
    }
    struct access_search search = access_search_init(session, "to:", false);
    struct access_match match = config_has(config, FEATURE_RELAY_HOSTS_ONLY)
                                    ? access_find_exact(&search, domain)
                                    : access_find_domain(&search, domain);

    *relays_out = match.status == STATUS_OK && match.action.kind == ACTION_RELAY;
    return match.status == STATUS_TEMPFAIL ? STATUS_TEMPFAIL : STATUS_OK;
}

enum status canonical_recipient(struct session *session, const char *typed, struct canonical *out,
                                struct reply *error_out)
{
    bool loose = config_has(ruleset_config(session->ruleset), FEATURE_LOOSE_RELAY_CHECK);
    const char *text;
    enum status status = start(session, typed, &text, error_out);

    for (int rewrites = 0; status == STATUS_OK && rewrites < MAX_REWRITES; rewrites++) {
        bool relays = false;

        status = canonify(session, text, out, error_out);
        if (status != STATUS_OK) {
            return status;
        }
        if (out->domain != NULL) {
            out->local = address_dequote(session->scratch, out->local);
        }
        if (loose || out->domain == NULL ||
            !address_has_operator(out->local, operators_of(session))) {
            return STATUS_OK;
        }
        status = relays_for(session, out->domain, &relays);
        if (status != STATUS_OK || !relays) {
            return status;
        }
        text = out->local;
    }
    return status == STATUS_OK ? invalid(error_out, "5.1.3", "User address required") : status;
}
