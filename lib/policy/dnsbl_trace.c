/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dnsbl_trace.h"

#include "lib/policy/rules.h"

void dnsbl_trace_note(const struct session *session, const struct dns_list *list, const char *what)
{
    if (session->trace != NULL) {
        rules_note(session,
                   arena_printf(session->scratch, "dnsbl %s: %s", list->config->title, what));
    }
}

void dnsbl_trace_suspended(const struct session *session, const struct dns_list *list)
{
    if (session->trace != NULL) {
        const char *why = dnsbl_health_name(dnsbl_health_state(list->health));

        dnsbl_trace_note(
            session, list,
            arena_printf(session->scratch, "suspended, because it fails its probe (%s)", why));
    }
}

void dnsbl_trace_spared(const struct session *session, const struct dns_list *list,
                        unsigned reasons)
{
    dnsbl_trace_note(session, list,
                     (list->config->exempt & reasons & DNS_EXEMPT_AUTHENTICATED) != 0
                         ? "not asked for clients that logged in"
                         : "not asked for clients that may relay");
}

void dnsbl_trace_ipv6(const struct session *session, const struct dns_list *list,
                      enum config_dns_lookup lookup)
{
    if (lookup == DNS_LOOKUP_ADDRESS && session->client_net.family == NETADDR_IPV6 &&
        !dnsbl_health_has_ipv6(list->health)) {
        dnsbl_trace_note(session, list,
                         list->config->ipv6 ? "not asked about IPv6, for which it fails its probe"
                                            : "not asked about IPv6 (ipv6 = false)");
    }
}

void dnsbl_trace_score(const struct session *session, int score, int threshold, const char *scorers)
{
    if (*scorers != '\0' && session->trace != NULL) {
        rules_note(session, arena_printf(session->scratch, "dnsbl: the score is %d of %d (%s)",
                                         score, threshold, scorers));
    }
}
