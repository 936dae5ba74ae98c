/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_sender.h"

#include "lib/dns/dns_name.h"
#include "lib/dns/mx.h"
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/dns_lookup.h"
#include "lib/policy/dnsbl_rules.h"
#include "lib/policy/ruleset.h"

#include <string.h>

/* MX hosts whose addresses are looked up. */
#define HOSTS_MAX 16u

static bool has(const struct session *session, enum config_feature feature)
{
    return session_has(session, feature);
}

/* Does anything here ask DNS at all? */
static bool is_asked(const struct session *session)
{
    return dns_questions_possible(session) &&
           (!has(session, FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS) || has(session, FEATURE_BADMX) ||
            dnsbl_rules_apply(session, DNS_LOOKUP_SENDER));
}

/* The own name, and Sendmail's pseudo domains, need not be in DNS. */
static bool is_known(const struct session *session, const char *domain)
{
    return domain_equal(domain, session->hostname) || domain_ends_in(domain, ".uucp") ||
           domain_ends_in(domain, ".redirect");
}

/* ---- questions ---- */

/* The name that says to whom a literal belongs. */
static bool reverse_of_literal(const char *domain, char out[DNS_NAME_SIZE])
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr addr;
    size_t len = strlen(domain);

    if (!domain_is_literal(domain) || len - 2 >= sizeof(text)) {
        return false;
    }
    memcpy(text, domain + 1, len - 2);
    text[len - 2] = '\0';
    return netaddr_parse(text, &addr) && dns_name_reverse(&addr, NULL, out);
}

/* An address says nothing that the MX records do not say, so it is asked for only if these are not known to be there. */
static void expect_domain(struct session *session, const char *domain)
{
    char reverse[DNS_NAME_SIZE];

    if (domain_is_literal(domain)) {
        if (reverse_of_literal(domain, reverse)) {
            (void)dns_questions_expect(session, DNS_SPAN_MESSAGE, reverse, DNS_PTR);
        }
        return;
    }
    const struct dns_result *mx = dns_questions_expect(session, DNS_SPAN_MESSAGE, domain, DNS_MX);

    if (mx == NULL || mx->status != DNS_FOUND) {
        (void)dns_questions_expect(session, DNS_SPAN_MESSAGE, domain, DNS_A);
        (void)dns_questions_expect(session, DNS_SPAN_MESSAGE, domain, DNS_AAAA);
    }
}

static void expect(struct session *session)
{
    if (!is_known(session, session->sender_domain) &&
        (!has(session, FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS) || has(session, FEATURE_BADMX))) {
        expect_domain(session, session->sender_domain);
    }
    dnsbl_rules_expect(session, DNS_LOOKUP_SENDER);
}

/* ---- answers ---- */

/* What stands in a reply: Sendmail's $f. */
static const char *sender_text(struct session *session)
{
    struct canonical sender;
    struct reply error;

    if (!canonical_sender(session, session->sender, &sender, &error)) {
        return session->sender;
    }
    return address_plain(session->scratch, canonical_typed(session, &sender));
}

/* The domain as Sendmail has it in replies: as it was typed, where that is the same. */
static const char *domain_text(struct session *session)
{
    const char *at = strrchr(sender_text(session), '@');

    return at != NULL && domain_equal(at + 1, session->sender_domain) ? at + 1
                                                                      : session->sender_domain;
}

static struct rules_result refuse(struct session *session, int code, const char *dsn,
                                  const char *text, const char *reason, const char *answer)
{
    struct rules_result result = rules_refuse(code, dsn, reply_clean(session->scratch, text),
                                              reason);

    result.verdict.answer = answer;
    return result;
}

static struct rules_result unresolvable(struct session *session, enum dns_lookup_state state,
                                        const char *answer)
{
    bool failed = state == DNS_LOOKUP_FAILED;
    const char *text = arena_printf(session->scratch, "Domain of sender address %s does not %s",
                                    sender_text(session), failed ? "resolve" : "exist");

    return refuse(session, failed ? 451 : 553, failed ? "4.1.8" : "5.1.8", text,
                  "unresolvable_sender", answer);
}

static struct rules_result check_literal(struct session *session, const char *domain)
{
    char reverse[DNS_NAME_SIZE];

    if (!reverse_of_literal(domain, reverse)) {
        return unresolvable(session, DNS_LOOKUP_NONE, "no address");
    }
    const struct dns_result *ptr = dns_lookup(session, DNS_SPAN_MESSAGE, reverse, DNS_PTR);

    if (ptr == NULL) {
        return rules_wait();
    }
    return ptr->status == DNS_FOUND
               ? rules_nothing()
               : unresolvable(session,
                              ptr->status == DNS_TEMPFAIL ? DNS_LOOKUP_FAILED : DNS_LOOKUP_NONE,
                              dns_lookup_text(session, ptr, DNS_PTR));
}

/* A domain exists if it has an MX or an address. A circle of CNAMEs leads nowhere, today and tomorrow. */
static struct rules_result check_domain(struct session *session, const char *domain)
{
    expect_domain(session, domain);

    const struct dns_result *mx = dns_lookup(session, DNS_SPAN_MESSAGE, domain, DNS_MX);

    if (mx == NULL) {
        return rules_wait();
    }
    if (mx_is_null(mx)) {
        return refuse(session, 550, "5.7.27", "Sender address has null MX", "null_mx", "null MX");
    }
    if (mx->status == DNS_FOUND) {
        return rules_nothing();
    }
    enum dns_lookup_state state = dns_lookup_addresses(session, DNS_SPAN_MESSAGE, domain);

    if (state == DNS_LOOKUP_WAIT) {
        return rules_wait();
    }
    if (state == DNS_LOOKUP_FOUND) {
        return rules_nothing();
    }
    bool circle = mx->failure == DNS_FAILURE_LOOP;

    if (mx->status == DNS_TEMPFAIL || state == DNS_LOOKUP_FAILED) {
        state = circle ? DNS_LOOKUP_NONE : DNS_LOOKUP_FAILED;
    }
    return unresolvable(session, state, dns_lookup_text(session, mx, DNS_MX));
}

/* ---- badmx ---- */

static struct rules_result refuse_mx(struct session *session, const char *what, const char *answer)
{
    return refuse(
        session, 550, "5.1.2",
        arena_printf(session->scratch, "%s MX record for host %s", what, domain_text(session)),
        "badmx", answer);
}

static struct rules_result check_host(struct session *session, const char *host)
{
    const struct config_dns *dns = &ruleset_config(session->ruleset)->dns;
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};

    if (mx_host_is_illegal(host)) {
        return refuse_mx(session, "Illegal", *host == '\0' ? "." : host);
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct dns_result *result = dns_lookup(session, DNS_SPAN_MESSAGE, host, types[i]);

        if (result == NULL) {
            return rules_wait();
        }
        if (mx_find_address(result, dns->bad_mx, dns->bad_mx_count) != NULL) {
            return refuse_mx(session, "Invalid", dns_lookup_text(session, result, types[i]));
        }
    }
    return rules_nothing();
}

/* A domain without MX is its own MX. What cannot be known of a host is no reason to refuse. */
static struct rules_result check_badmx(struct session *session, const char *domain)
{
    /* Who traces has seen it where the domain had to exist. */
    const struct dns_result *mx = has(session, FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS)
                                      ? dns_lookup(session, DNS_SPAN_MESSAGE, domain, DNS_MX)
                                      : dns_questions_ask(session, DNS_SPAN_MESSAGE, domain,
                                                          DNS_MX);
    struct rules_result result = rules_nothing();

    if (mx == NULL) {
        return rules_wait();
    }
    if (mx->status == DNS_TEMPFAIL && mx->failure != DNS_FAILURE_LOOP) {
        return refuse(
            session, 450, "4.1.2",
            arena_printf(session->scratch, "MX lookup failure for %s", domain_text(session)),
            "badmx", dns_lookup_text(session, mx, DNS_MX));
    }
    if (mx->status != DNS_FOUND) {
        return check_host(session, domain);
    }
    for (size_t i = 0; i < mx->count && i < HOSTS_MAX; i++) {
        (void)dns_questions_expect(session, DNS_SPAN_MESSAGE, mx->records[i].text, DNS_A);
        (void)dns_questions_expect(session, DNS_SPAN_MESSAGE, mx->records[i].text, DNS_AAAA);
    }
    for (size_t i = 0; i < mx->count && i < HOSTS_MAX && !rules_decided(&result); i++) {
        result = check_host(session, mx->records[i].text);
    }
    return result;
}

/* ---- the check ---- */

struct rules_result dns_sender_finish(struct session *session)
{
    const char *domain = session->sender_domain;
    struct rules_result result = rules_nothing();

    if (domain == NULL) {
        return result;
    }
    if (!has(session, FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS) && !is_known(session, domain)) {
        result = domain_is_literal(domain) ? check_literal(session, domain)
                                           : check_domain(session, domain);
    }
    if (!rules_decided(&result) && has(session, FEATURE_BADMX) && !domain_is_literal(domain) &&
        !is_known(session, domain)) {
        result = check_badmx(session, domain);
    }
    return rules_decided(&result) || has(session, FEATURE_DELAY_CHECKS)
               ? result
               : dns_sender_check_lists(session);
}

struct rules_result dns_sender_check_lists(struct session *session)
{
    return session->sender_domain == NULL ? rules_nothing()
                                          : dnsbl_rules_check(session, DNS_LOOKUP_SENDER, 0);
}

struct rules_result dns_sender_check(struct session *session, const struct canonical *sender)
{
    if (sender->domain == NULL || !is_asked(session)) {
        return rules_nothing();
    }
    if (session->sender_domain == NULL) {
        session->sender_domain = arena_strdup(session->message, sender->domain);
    }
    if (!session->later) {
        return dns_sender_finish(session);
    }
    expect(session);
    session->put_off |= PUT_OFF_SENDER;
    rules_note(session, "dns: the sender's domain is looked up; the answer counts at RCPT");
    return rules_nothing();
}

void dns_sender_expect(struct session *session, const char *typed)
{
    struct canonical sender;
    struct reply error;

    if (!is_asked(session) || canonical_is_empty(typed) ||
        !canonical_sender(session, typed, &sender, &error) || sender.domain == NULL) {
        return;
    }
    session->sender_domain = arena_strdup(session->message, sender.domain);
    expect(session);
}
