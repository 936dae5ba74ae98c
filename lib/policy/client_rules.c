/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/client_rules.h"

#include "lib/mail/domain.h"
#include "lib/policy/classes.h"
#include "lib/policy/dns_client.h"
#include "lib/policy/dnsbl_rules.h"
#include "lib/policy/helo_rules.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/ruleset.h"

#include <string.h>
#include <strings.h>

static struct rules_result require_rdns(struct session *session)
{
    struct arena *arena = session->scratch;
    const char *addr = session->client_addr;
    const char *reason = "require_rdns";
    enum session_resolve resolve;

    if (classes_is_relay_client(session)) {
        rules_note(session, "require_rdns: the client address is in relay_domains");
        return rules_nothing();
    }
    if (!dns_client_resolve(session, &resolve)) {
        return rules_wait();
    }
    switch (resolve) {
    case RESOLVE_FAIL:
        return rules_refuse(550, "5.7.1", arena_printf(arena, "Fix reverse DNS for %s", addr),
                            reason);
    case RESOLVE_TEMP:
        return rules_refuse(451, "4.1.8",
                            arena_printf(arena, "Client IP address %s does not resolve", addr),
                            reason);
    case RESOLVE_FORGED:
        return rules_refuse(451, "4.1.8",
                            arena_printf(arena, "Possibly forged hostname for %s", addr), reason);
    case RESOLVE_OK:
        break;
    }
    return rules_nothing();
}

#define CLIENT_LOOKUPS (DNS_LOOKUP_ADDRESS | DNS_LOOKUP_NAME)

/* Is there anything to be asked of DNS about the client? */
static bool asks_dns(const struct session *session)
{
    return dnsbl_rules_apply(session, CLIENT_LOOKUPS) ||
           (session_has(session, FEATURE_REQUIRE_RDNS) && dns_client_is_doubtful(session));
}

void client_rules_expect(struct session *session)
{
    if (*session->client_addr == '\0') {
        return;
    }
    dnsbl_rules_expect(session, CLIENT_LOOKUPS);
    if (session_has(session, FEATURE_REQUIRE_RDNS)) {
        dns_client_expect(session);
    }
}

struct rules_result client_rules_finish(struct session *session)
{
    struct rules_result result = rules_nothing();

    /* What no list has against a client stays so; who traces sees each message's answers. */
    if (!session->unlisted || session->trace != NULL) {
        result = dnsbl_rules_check(session, CLIENT_LOOKUPS, CLIENT_LOOKUPS);
        session->unlisted = result.verdict.kind == VERDICT_CONTINUE;
    }
    if (rules_decided(&result) || !session_has(session, FEATURE_REQUIRE_RDNS)) {
        return result;
    }
    return require_rdns(session);
}

/* What the access map leaves open: lists, then require_rdns. */
static struct rules_result check_dns(struct session *session)
{
    if (!session->later || !asks_dns(session)) {
        return client_rules_finish(session);
    }
    client_rules_expect(session);
    session->put_off |= PUT_OFF_CLIENT;
    rules_note(session, "dns: the client is looked up; the answers count later");
    return rules_nothing();
}

static struct rules_result check_access(struct session *session, const char *name)
{
    const struct config *config = ruleset_config(session->ruleset);
    struct access_search search = access_search_init(session, "connect:", false);
    struct access_match match = {.status = STATUS_NOTFOUND};

    if (*name != '\0') {
        match = access_find_domain(&search, name);
    }
    if (match.status == STATUS_NOTFOUND) {
        match = access_find_client(&search);
    }
    if (match.status != STATUS_NOTFOUND) {
        return rules_apply(&match, &config->reject, "access");
    }
    return check_dns(session);
}

struct rules_result client_rules_check(struct session *session)
{
    const char *name = session_has(session, FEATURE_USE_CLIENT_PTR) ? session->client_ptr
                                                                    : session->client_name;

    if (*session->client_addr == '\0') {
        return rules_nothing(); /* not an IP client: Sendmail does not ask check_relay either */
    }
    session->accepted = false; /* the map may be another one than when it was last asked */

    struct rules_result result = regex_rules_check_client(session, name);

    if (!rules_decided(&result)) {
        result = check_access(session, name);
    }
    session->accepted = result.accepted;
    return result;
}

/* A dot with something on both sides of it. */
static bool has_inner_dot(const char *name)
{
    const char *dot = *name == '\0' ? NULL : strchr(name + 1, '.');

    return dot != NULL && dot[1] != '\0';
}

static bool is_ipv6_literal(const char *name)
{
    return strncasecmp(name, "IPv6:", 5) == 0 ||
           (strncasecmp(name, "[IPv6:", 6) == 0 && domain_is_literal(name));
}

static bool helo_is_bogus(const struct session *session, const char *name)
{
    const char *bracketed = arena_printf(session->scratch, "[%s]", name);

    if (classes_is_local(session, bracketed) || classes_is_local(session, name)) {
        return true;
    }
    return !has_inner_dot(name) && !is_ipv6_literal(name);
}

static struct rules_result block_bad_helo(struct session *session)
{
    /* Sendmail's $s is the client's name where none was given. */
    const char *name = *session->helo != '\0' ? session->helo : session->client_name;

    if (!session_has(session, FEATURE_BLOCK_BAD_HELO)) {
        return rules_nothing();
    }
    if (*session->login.authen != '\0') {
        rules_note(session, "block_bad_helo: not asked for clients that logged in");
        return rules_nothing();
    }
    if (classes_is_relay_client(session)) {
        rules_note(session, "block_bad_helo: the client address is in relay_domains");
        return rules_nothing();
    }
    if (!helo_is_bogus(session, name)) {
        return rules_nothing();
    }
    const char *text = arena_printf(session->scratch, "bogus HELO name used: %s", name);

    return rules_refuse(550, "5.7.1", reply_clean(session->scratch, text), "block_bad_helo");
}

struct rules_result client_rules_check_helo(struct session *session)
{
    if (*session->client_addr == '\0') {
        return rules_nothing();
    }
    struct rules_result pattern = regex_rules_check_helo(session);

    if (!rules_decided(&pattern)) {
        pattern = block_bad_helo(session);
    }
    return rules_decided(&pattern) ? pattern : helo_rules_check(session);
}
