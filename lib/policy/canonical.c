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
    return (struct address_operators){
        .percent = !session_has(session, FEATURE_NOPERCENTHACK_NOSPECIAL) &&
                   !session_has(session, FEATURE_NOPERCENTHACK_REJECT),
        .bang = !session_has(session, FEATURE_NOUUCP_NOSPECIAL) &&
                !session_has(session, FEATURE_NOUUCP_REJECT),
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

static bool invalid(struct reply *error_out, const char *dsn, const char *text)
{
    *error_out = reply_make(553, dsn, text);
    return false;
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

/* What rulesets 3, 1 and 4 make of an address. */
const char *canonical_typed(struct session *session, const struct canonical *canonical)
{
    struct address address = canonical->split;

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
static bool canonify(struct session *session, const char *text, struct canonical *out,
                     struct reply *error_out)
{
    struct address_operators operators = operators_of(session);
    struct address address;

    for (int rewrites = 0; rewrites < MAX_REWRITES; rewrites++) {
        if (!address_split(session->scratch, text, operators, &address, error_out)) {
            return false;
        }
        if (rewrites == 0) {
            out->split = address;
        }
        out->domain = address.domain == NULL ? NULL : canonical_domain(session, address.domain);
        out->is_local = out->domain != NULL && classes_is_local(session, out->domain);
        if (out->domain != NULL && !out->is_local) {
            out->local = address.local;
            return true;
        }
        out->local = address_dequote(session->scratch, address.local);
        if (*out->local == '\0') {
            return invalid(error_out, "5.1.3", "User address required");
        }
        if (!address_has_operator(out->local, operators)) {
            return true;
        }
        text = out->local;
    }
    return invalid(error_out, "5.1.3", "User address required");
}

/*
 * "host!user:user@local" outside of brackets: to Sendmail what is in front of the colon is the name of a group, to Postfix
 * the local part goes on to that host.
 */
static bool drops_host(struct session *session, const char *typed, const char *kept)
{
    const char *whole = address_unbracket(session->scratch, typed);
    size_t len = strlen(whole);

    while (len > 0 && whole[len - 1] == ';') {
        len--;
    }
    size_t kept_len = strlen(kept);
    const char *front = arena_strndup(session->scratch, whole, len > kept_len ? len - kept_len : 0);

    return strpbrk(front, *front == '@' ? "!%" : "!%@") != NULL;
}

static bool start(struct session *session, const char *typed, const char **text_out,
                  struct canonical *out, struct reply *error_out)
{
    if (strlen(typed) > ADDRESS_MAX_LEN) {
        return invalid(error_out, "5.1.0", "Address too long");
    }
    *text_out = address_strip(session->scratch, typed);
    out->drops_host = drops_host(session, typed, *text_out);
    return **text_out != '\0' || invalid(error_out, "5.1.3", "User address required");
}

/*
 * The local part as keys have it. One that is quoted as a whole keeps its quotes until a key is made of it, as a sign that
 * it has no detail.
 */
static void finish(struct session *session, struct canonical *out)
{
    out->has_bang = address_has_byte(out->local, '!');
    out->has_percent = address_has_byte(out->local, '%');
    if (*out->local != '"') {
        out->local = address_plain(session->scratch, out->local);
    }
}

bool canonical_sender(struct session *session, const char *typed, struct canonical *out,
                      struct reply *error_out)
{
    const char *text;

    if (!start(session, typed, &text, out, error_out) || !canonify(session, text, out, error_out)) {
        return false;
    }
    finish(session, out);
    return true;
}

/* Do we relay for this domain? RELAY in the map, or class m or R. */
static bool relays_for(struct session *session, const char *domain)
{
    if ((session_has(session, FEATURE_RELAY_ENTIRE_DOMAIN) &&
         classes_is_own_domain(session, domain)) ||
        classes_is_relay_domain(session, domain)) {
        return true;
    }
    struct access_search search = access_search_init(session, "to:", false);
    struct access_match match = session_has(session, FEATURE_RELAY_HOSTS_ONLY)
                                    ? access_find_exact(&search, domain)
                                    : access_find_domain(&search, domain);

    return match.status == STATUS_OK && match.action.kind == ACTION_RELAY;
}

/* Takes the quotes off; true if the local part names a host behind one that we relay for: look again. */
static bool forwards(struct session *session, struct canonical *out)
{
    out->local = address_dequote(session->scratch, out->local);
    return address_has_operator(out->local, operators_of(session)) &&
           relays_for(session, out->domain);
}

bool canonical_recipient(struct session *session, const char *typed, struct canonical *out,
                         struct reply *error_out)
{
    bool loose = session_has(session, FEATURE_LOOSE_RELAY_CHECK);
    const char *text;

    if (!start(session, typed, &text, out, error_out)) {
        return false;
    }
    for (int rewrites = 0; rewrites < MAX_REWRITES; rewrites++) {
        if (!canonify(session, text, out, error_out)) {
            return false;
        }
        if (loose || out->domain == NULL || !forwards(session, out)) {
            finish(session, out);
            return true;
        }
        text = out->local;
    }
    return invalid(error_out, "5.1.3", "User address required");
}
