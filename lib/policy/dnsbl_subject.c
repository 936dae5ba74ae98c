/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dnsbl_subject.h"

#include <string.h>

const enum config_dns_lookup dnsbl_subject_lookups[DNSBL_SUBJECT_LOOKUPS] = {
    DNS_LOOKUP_ADDRESS,
    DNS_LOOKUP_NAME,
    DNS_LOOKUP_HELO,
    DNS_LOOKUP_SENDER,
};

struct dnsbl_subject dnsbl_subject_of(const struct session *session)
{
    struct dnsbl_subject subject = {.session = session};

    subject.reversed_len = *session->client_addr == '\0'
                               ? 0
                               : dns_name_reversed(&session->client_net, subject.reversed);
    return subject;
}

/* The domain or address that is looked up; NULL: there is none. */
static const char *fact_of(const struct session *session, enum config_dns_lookup lookup)
{
    const char *name = lookup == DNS_LOOKUP_ADDRESS ? session->client_addr
                       : lookup == DNS_LOOKUP_NAME  ? session->client_name
                       : lookup == DNS_LOOKUP_HELO  ? session->helo
                                                    : session->sender_domain;

    return name == NULL || *name == '\0' || *name == '[' ? NULL : name;
}

const char *dnsbl_subject_text(struct session *session, enum config_dns_lookup lookup)
{
    const char *fact = fact_of(session, lookup);
    char plain[DNS_NAME_SIZE];

    return lookup != DNS_LOOKUP_ADDRESS && fact != NULL && dns_name_normalize(fact, plain)
               ? arena_strdup(session->scratch, plain)
               : fact;
}

/* "FIRST.ZONE"; both are normalized, and not empty. */
static bool put_together(const char *first, size_t first_len, const char *zone, size_t zone_len,
                         char out[DNS_NAME_SIZE])
{
    if (first_len + 1 + zone_len >= DNS_NAME_SIZE) {
        return false;
    }
    memcpy(out, first, first_len);
    out[first_len] = '.';
    memcpy(out + first_len + 1, zone, zone_len + 1);
    return true;
}

bool dnsbl_subject_name(const struct dnsbl_subject *subject, const struct dns_list *list,
                        enum config_dns_lookup lookup, char out[DNS_NAME_SIZE])
{
    const struct session *session = subject->session;
    const char *fact = fact_of(session, lookup);
    const char *zone = list->config->zone;
    char plain[DNS_NAME_SIZE];

    if (fact == NULL) {
        return false;
    }
    if (lookup == DNS_LOOKUP_ADDRESS) {
        return (session->client_net.family != NETADDR_IPV6 ||
                dnsbl_health_has_ipv6(list->health)) &&
               subject->reversed_len > 0 &&
               put_together(subject->reversed, subject->reversed_len, zone, list->zone_len, out);
    }
    return dns_name_normalize(fact, plain) && dns_name_is_host(plain) &&
           put_together(plain, strlen(plain), zone, list->zone_len, out);
}

enum dns_span dnsbl_subject_span(enum config_dns_lookup lookup)
{
    return lookup == DNS_LOOKUP_SENDER ? DNS_SPAN_MESSAGE
           : lookup == DNS_LOOKUP_HELO ? DNS_SPAN_HELO
                                       : DNS_SPAN_CONNECTION;
}
