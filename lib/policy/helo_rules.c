/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/helo_rules.h"

#include "lib/dns/dns_name.h"
#include "lib/mail/domain.h"
#include "lib/policy/classes.h"
#include "lib/policy/dns_lookup.h"
#include "lib/policy/dnsbl_rules.h"
#include "lib/policy/ruleset.h"

#include <string.h>

#define ALL_LOOKUPS (DNS_LOOKUP_ADDRESS | DNS_LOOKUP_NAME | DNS_LOOKUP_HELO | DNS_LOOKUP_SENDER)

static const struct config_dns *config_of(const struct session *session)
{
    return &ruleset_config(session->ruleset)->dns;
}

/* This host itself: as for relaying, no other address of 127/8. */
static bool is_here(const struct session *session)
{
    return *session->client_addr == '\0' || strcmp(session->client_addr, "127.0.0.1") == 0 ||
           strcmp(session->client_addr, "IPv6:0:0:0:0:0:0:0:1") == 0;
}

/* As block_bad_helo: who logged in or is of ours may call himself as he likes. */
static bool is_spared(const struct session *session)
{
    return *session->login.authen != '\0' || is_here(session) || classes_is_relay_client(session) ||
           classes_is_local(session, session->client_name);
}

/* The names of this host, whole; "mx" and "localhost" are for block_bad_helo. */
static bool is_own(const struct session *session, const char *name)
{
    const char *literal = arena_printf(session->scratch, "[%s]", name);

    return (domain_parent(name) != NULL || domain_is_literal(name)) &&
           (classes_is_local(session, name) || classes_is_local(session, literal));
}

static bool must_resolve(const struct session *session)
{
    return config_of(session)->helo_must_resolve && dns_questions_possible(session) &&
           *session->helo != '\0' && !domain_is_literal(session->helo);
}

/* Where the score of all lists is not yet known at the check of the client. */
static bool asks_dns(const struct session *session)
{
    return must_resolve(session) || dnsbl_rules_apply(session, DNS_LOOKUP_HELO) ||
           (config_of(session)->score_threshold > 0 &&
            dnsbl_rules_apply(session, DNS_LOOKUP_SENDER));
}

void helo_rules_expect(struct session *session)
{
    if (must_resolve(session)) {
        (void)dns_questions_expect(session, DNS_SPAN_HELO, session->helo, DNS_A);
        (void)dns_questions_expect(session, DNS_SPAN_HELO, session->helo, DNS_AAAA);
        (void)dns_questions_expect(session, DNS_SPAN_HELO, session->helo, DNS_MX);
    }
    dnsbl_rules_expect(session, DNS_LOOKUP_HELO);
}

static struct rules_result unresolvable(struct session *session, const struct dns_result *mx,
                                        bool failed)
{
    const char *text = arena_printf(session->scratch, "HELO name %s does not %s", session->helo,
                                    failed ? "resolve" : "exist");
    struct rules_result result = rules_refuse(failed ? 451 : 550, failed ? "4.7.1" : "5.7.1",
                                              reply_clean(session->scratch, text),
                                              "helo_must_resolve");

    result.verdict.answer = dns_lookup_text(session, mx, DNS_MX);
    return result;
}

/* A name of HELO has an address; hosts that only send often have none but an MX. */
static struct rules_result check_resolves(struct session *session)
{
    const char *name = session->helo;

    helo_rules_expect(session);

    enum dns_lookup_state state = dns_lookup_addresses(session, DNS_SPAN_HELO, name);

    if (state == DNS_LOOKUP_WAIT || state == DNS_LOOKUP_FOUND) {
        return state == DNS_LOOKUP_WAIT ? rules_wait() : rules_nothing();
    }
    const struct dns_result *mx = dns_lookup(session, DNS_SPAN_HELO, name, DNS_MX);

    if (mx == NULL) {
        return rules_wait();
    }
    return mx->status == DNS_FOUND
               ? rules_nothing()
               : unresolvable(session, mx,
                              state == DNS_LOOKUP_FAILED || mx->status == DNS_TEMPFAIL);
}

struct rules_result helo_rules_finish(struct session *session)
{
    struct rules_result result = rules_nothing();

    if (must_resolve(session) && !is_spared(session)) {
        result = check_resolves(session);
    }
    return rules_decided(&result) ? result
                                  : dnsbl_rules_check(session, DNS_LOOKUP_HELO, ALL_LOOKUPS);
}

struct rules_result helo_rules_check(struct session *session)
{
    if (config_of(session)->helo_refuse_own && *session->helo != '\0' &&
        is_own(session, session->helo) && !is_spared(session)) {
        const char *text = arena_printf(session->scratch, "bogus HELO name used: %s",
                                        session->helo);

        return rules_refuse(550, "5.7.1", reply_clean(session->scratch, text), "helo_refuse_own");
    }
    if (!asks_dns(session)) {
        return rules_nothing();
    }
    if (!session->later) {
        return helo_rules_finish(session);
    }
    helo_rules_expect(session);
    session->put_off |= PUT_OFF_HELO;
    return rules_nothing();
}
