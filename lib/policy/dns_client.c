/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_client.h"

#include "lib/dns/dns_name.h"
#include "lib/policy/dns_lookup.h"

/* Names of one address that are looked up: as many as decide whether it is forged. */
#define NAMES_MAX 8u

bool dns_client_is_doubtful(const struct session *session)
{
    return !session->resolve_told && session->resolve != RESOLVE_OK &&
           *session->client_addr != '\0' && dns_questions_possible(session);
}

void dns_client_expect(struct session *session)
{
    char name[DNS_NAME_SIZE];

    if (dns_client_is_doubtful(session) && dns_name_reverse(&session->client_net, NULL, name)) {
        (void)dns_questions_expect(session, DNS_SPAN_CONNECTION, name, DNS_PTR);
    }
}

static bool leads_back(const struct session *session, const struct dns_result *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (netaddr_equal(&addresses->records[i].addr, &session->client_net)) {
            return true;
        }
    }
    return false;
}

/* Does one of the names lead back? */
static bool check_names(struct session *session, const struct dns_result *ptr,
                        enum session_resolve *out)
{
    enum dns_type type = session->client_net.family == NETADDR_IPV6 ? DNS_AAAA : DNS_A;

    *out = RESOLVE_FORGED;
    for (size_t i = 0; i < ptr->count && i < NAMES_MAX; i++) {
        (void)dns_questions_expect(session, DNS_SPAN_CONNECTION, ptr->records[i].text, type);
    }
    for (size_t i = 0; i < ptr->count && i < NAMES_MAX; i++) {
        const struct dns_result *addresses = dns_lookup(session, DNS_SPAN_CONNECTION,
                                                        ptr->records[i].text, type);

        if (addresses == NULL) {
            return false;
        }
        if (leads_back(session, addresses)) {
            *out = RESOLVE_OK;
            return true;
        }
        if (addresses->status == DNS_TEMPFAIL) {
            *out = RESOLVE_TEMP;
        }
    }
    return true;
}

bool dns_client_resolve(struct session *session, enum session_resolve *out)
{
    char name[DNS_NAME_SIZE];

    *out = session->resolve;
    if (!dns_client_is_doubtful(session) || !dns_name_reverse(&session->client_net, NULL, name)) {
        return true;
    }
    const struct dns_result *ptr = dns_lookup(session, DNS_SPAN_CONNECTION, name, DNS_PTR);

    if (ptr == NULL) {
        return false;
    }
    if (ptr->status != DNS_FOUND) {
        *out = ptr->status == DNS_TEMPFAIL ? RESOLVE_TEMP : RESOLVE_FAIL;
        return true;
    }
    return check_names(session, ptr, out);
}
