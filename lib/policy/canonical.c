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

static const char *canonical_domain(struct session *session, const char *typed)
{
    if (is_localhost(session, typed)) {
        return session->hostname;
    }
    const char *domain = domain_normalize(session->scratch, typed);

    if (domain_is_literal(domain)) {
        domain = domain_full_literal(session->scratch, domain);
        return classes_is_local(session, domain) ? session->hostname : domain;
    }
    return domain;
}

static enum status invalid(struct reply *error_out, const char *dsn, const char *text)
{
    *error_out = reply_make(553, dsn, text);
    return STATUS_INVALID;
}

/* Rulesets 3 and 4 give "localhost" and own literals the own host name, and take trailing dots off. */
static const char *typed_domain(struct session *session, const char *domain)
{
    const char *canonical = canonical_domain(session, domain);
    size_t len = strlen(domain);

    if (canonical == session->hostname) {
        return canonical;
    }
    while (len > 0 && domain[len - 1] == '.') {
        len--;
    }
    return arena_strndup(session->scratch, domain, len);
}

/* "user%own@own": ruleset 4 takes the last own name off, as long as the one before is own as well. */
static void drop_doubled_own_names(struct session *session, struct address *address)
{
    const char *percent;

    while (classes_is_local(session, address->domain) &&
           (percent = strrchr(address->local, '%')) != NULL && percent > address->local &&
           classes_is_local(session, percent + 1)) {
        address->domain = percent + 1;
        address->local = arena_strndup(session->scratch, address->local,
                                       (size_t)(percent - address->local));
    }
}

/* Sendmail's $f of an address that was split once: what rulesets 3, 1 and 4 make of it. */
static const char *typed_form(struct session *session, const struct address *split)
{
    struct address address = *split;

    if (address.domain == NULL) {
        return address.local;
    }
    address.domain = typed_domain(session, address.domain);

    size_t host = strcspn(address.domain, ".:%@!^/[]+()<>,;");

    if (operators_of(session).bang && host > 0 && domain_equal(address.domain + host, ".uucp")) {
        return arena_printf(session->scratch, "%.*s!%s", (int)host, address.domain, address.local);
    }
    drop_doubled_own_names(session, &address);
    return address_format(session->scratch, &address);
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
        if (rewrites == 0) {
            out->typed = typed_form(session, &address);
        }
        out->domain = address.domain == NULL ? NULL : canonical_domain(session, address.domain);
        out->is_local = out->domain != NULL && classes_is_local(session, out->domain);
        if (out->domain != NULL && !out->is_local) {
            out->local = address.local;
            out->dequoted = false;
            return STATUS_OK;
        }
        out->local = address_dequote(session->scratch, address.local);
        out->dequoted = out->local != address.local;
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

/*
 * The local part as keys have it. One that is quoted as a whole keeps its quotes until a key is made of it, as a sign that
 * it has no detail.
 */
static void finish(struct session *session, struct canonical *out)
{
    if (!out->dequoted && *out->local != '"') {
        out->local = address_plain(session->scratch, out->local);
    }
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
        finish(session, out);
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

/* Takes one host off a recipient whose local part names another, if we relay for it; *more_out: look again. */
static enum status forward(struct session *session, struct canonical *out, bool *more_out)
{
    const char *local = address_dequote(session->scratch, out->local);

    *more_out = false;
    out->dequoted = out->dequoted || local != out->local;
    out->local = local;
    return address_has_operator(local, operators_of(session))
               ? relays_for(session, out->domain, more_out)
               : STATUS_OK;
}

enum status canonical_recipient(struct session *session, const char *typed, struct canonical *out,
                                struct reply *error_out)
{
    bool loose = config_has(ruleset_config(session->ruleset), FEATURE_LOOSE_RELAY_CHECK);
    const char *text;
    enum status status = start(session, typed, &text, error_out);

    for (int rewrites = 0; status == STATUS_OK && rewrites < MAX_REWRITES; rewrites++) {
        bool more = false;

        status = canonify(session, text, out, error_out);
        if (status == STATUS_OK && !loose && out->domain != NULL) {
            status = forward(session, out, &more);
        }
        if (status == STATUS_OK && !more) {
            finish(session, out);
            return STATUS_OK;
        }
        text = out->local;
    }
    return status == STATUS_OK ? invalid(error_out, "5.1.3", "User address required") : status;
}
