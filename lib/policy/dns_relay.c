/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_relay.h"

#include "lib/dns/mx.h"
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/classes.h"
#include "lib/policy/dns_lookup.h"
#include "lib/policy/ruleset.h"

#include <string.h>

enum dns_relay {
    DNS_RELAY_NO,
    DNS_RELAY_YES,
    DNS_RELAY_UNKNOWN, /* it cannot be known now */
    DNS_RELAY_WAIT,    /* it is not known yet */
};

/* MX hosts whose addresses are looked up. */
#define HOSTS_MAX 16u

/* "localhost" and the first label of the own name are in class w as well, but say nothing in the DNS of strangers. */
static bool is_own_name(const struct session *session, const char *host)
{
    return domain_parent(host) != NULL && classes_is_local(session, host);
}

/* An own address that others can reach, as "[192.0.2.1]" in class w. */
static bool is_own_address(const struct session *session, const struct netaddr *addr)
{
    static const struct netaddr here = {.family = NETADDR_IPV4, .bits = 8, .bytes = {127}};
    static const struct netaddr here6 = {.family = NETADDR_IPV6, .bits = 128, .bytes = {[15] = 1}};
    char text[NETADDR_TEXT_SIZE];

    return !netaddr_contains(&here, addr) && !netaddr_contains(&here6, addr) &&
           classes_is_local(session,
                            arena_printf(session->scratch, "[%s]", netaddr_format(addr, text)));
}

/* Does the host have an address of ours? *failure_out: what DNS said where it cannot be known. */
static enum dns_relay ask_host(struct session *session, const char *host, const char **failure_out)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    enum dns_relay relay = DNS_RELAY_NO;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct dns_result *result = dns_lookup(session, DNS_SPAN_RECIPIENT, host, types[i]);

        if (result == NULL) {
            return DNS_RELAY_WAIT;
        }
        for (size_t j = 0; j < result->count; j++) {
            if (is_own_address(session, &result->records[j].addr)) {
                return DNS_RELAY_YES;
            }
        }
        if (result->status == DNS_TEMPFAIL && result->failure != DNS_FAILURE_LOOP) {
            relay = DNS_RELAY_UNKNOWN;
            *failure_out = dns_lookup_text(session, result, types[i]);
        }
    }
    return relay;
}

static enum dns_relay ask_hosts(struct session *session, const struct dns_result *mx, size_t count,
                                const char **failure_out)
{
    enum dns_relay relay = DNS_RELAY_NO;

    for (size_t i = 0; i < count; i++) {
        if (is_own_name(session, mx->records[i].text)) {
            return DNS_RELAY_YES;
        }
    }
    count = count > HOSTS_MAX ? HOSTS_MAX : count;
    for (size_t i = 0; i < count; i++) {
        (void)dns_questions_expect(session, DNS_SPAN_RECIPIENT, mx->records[i].text, DNS_A);
        (void)dns_questions_expect(session, DNS_SPAN_RECIPIENT, mx->records[i].text, DNS_AAAA);
    }
    for (size_t i = 0; i < count; i++) {
        enum dns_relay host = ask_host(session, mx->records[i].text, failure_out);

        if (host == DNS_RELAY_YES || host == DNS_RELAY_WAIT) {
            return host;
        }
        relay = host == DNS_RELAY_UNKNOWN ? host : relay;
    }
    return relay;
}

static enum dns_relay ask_domain(struct session *session, const char *domain,
                                 const char **failure_out)
{
    bool any = ruleset_config(session->ruleset)->dns.relay_mx == DNS_RELAY_MX_ANY;
    const struct dns_result *mx = dns_lookup(session, DNS_SPAN_RECIPIENT, domain, DNS_MX);

    if (mx == NULL) {
        return DNS_RELAY_WAIT;
    }
    if (mx->status == DNS_TEMPFAIL) {
        *failure_out = dns_lookup_text(session, mx, DNS_MX);
        return mx->failure == DNS_FAILURE_LOOP ? DNS_RELAY_NO : DNS_RELAY_UNKNOWN;
    }
    return mx->status != DNS_FOUND || mx_is_null(mx)
               ? DNS_RELAY_NO
               : ask_hosts(session, mx, any ? mx->count : mx_best_count(mx), failure_out);
}

/* The domain as Sendmail has it in the reply: as it was typed, where that is the same. */
static const char *domain_text(const struct canonical *recipient)
{
    const char *typed = recipient->split.domain;

    return typed != NULL && domain_equal(typed, recipient->domain) ? typed : recipient->domain;
}

/* No refusal is for good as long as the MX may say otherwise; one that is temporary already stays. */
static struct rules_result cannot_check(struct session *session, const struct canonical *recipient,
                                        struct rules_result refusal, const char *failure)
{
    if (refusal.verdict.kind == VERDICT_TEMPFAIL) {
        return refusal;
    }
    const char *text = arena_printf(
        session->scratch, "Can not check MX records for recipient host %s", domain_text(recipient));

    struct rules_result result = rules_refuse(450, "4.4.0", reply_clean(session->scratch, text),
                                              "relay");

    result.verdict.answer = failure;
    return result;
}

/* "joe%other@ours": whoever gets this mail may send it on to that host. */
static bool names_another_host(struct session *session, const struct canonical *recipient)
{
    return !session_has(session, FEATURE_LOOSE_RELAY_CHECK) &&
           strpbrk(address_plain(session->scratch, recipient->local), "@%!") != NULL;
}

struct rules_result dns_relay_check(struct session *session, const struct canonical *recipient,
                                    struct rules_result refusal)
{
    const char *domain = recipient->domain;
    const char *failure = NULL;

    if (!verdict_is_refusal(&refusal.verdict) || refusal.internal || domain == NULL ||
        !session_has(session, FEATURE_RELAY_BASED_ON_MX) || domain_is_literal(domain) ||
        !dns_questions_possible(session) || names_another_host(session, recipient)) {
        return refusal;
    }
    switch (ask_domain(session, domain, &failure)) {
    case DNS_RELAY_YES:
        rules_note(session, "relaying: this host is an MX of the recipient's domain");
        return rules_nothing();
    case DNS_RELAY_WAIT:
        return rules_wait();
    case DNS_RELAY_UNKNOWN:
        return cannot_check(session, recipient, refusal, failure);
    case DNS_RELAY_NO:
        break;
    }
    return refusal;
}
