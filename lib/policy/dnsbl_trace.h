/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dnsbl_trace - what who looks on at a decision (posternctl explain) is told of DNS lists, above all why one is not asked.
 *
 * Nothing is done for sessions at which nobody looks.
 */
#ifndef POSTERN_LIB_POLICY_DNSBL_TRACE_H
#define POSTERN_LIB_POLICY_DNSBL_TRACE_H

#include "lib/policy/dns_lists.h"
#include "lib/policy/session.h"

/* "dnsbl TITLE: WHAT" */
void dnsbl_trace_note(const struct session *session, const struct dns_list *list, const char *what);

/* It fails its probe. */
void dnsbl_trace_suspended(const struct session *session, const struct dns_list *list);

/* The client is spared; `reasons` are the enum config_dns_exempt that hold for it. */
void dnsbl_trace_spared(const struct session *session, const struct dns_list *list,
                        unsigned reasons);

/* It was not asked about this fact: says so if that is because the client has an IPv6 address. */
void dnsbl_trace_ipv6(const struct session *session, const struct dns_list *list,
                      enum config_dns_lookup lookup);

/* What weights came to; `scorers` names the lists that have listed. */
void dnsbl_trace_score(const struct session *session, int score, int threshold,
                       const char *scorers);

#endif
