/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dnsbl_subject - what DNS lists are asked about in a session: address, names, sender; and the names of these in a list.
 */
#ifndef POSTERN_LIB_POLICY_DNSBL_SUBJECT_H
#define POSTERN_LIB_POLICY_DNSBL_SUBJECT_H

#include "lib/dns/dns_name.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/session.h"

#include <stdbool.h>
#include <stddef.h>

/* Each fact that is looked up, by its bit. */
#define DNSBL_SUBJECT_LOOKUPS 4u
extern const enum config_dns_lookup dnsbl_subject_lookups[DNSBL_SUBJECT_LOOKUPS];

/* A session whose facts go into many names. */
struct dnsbl_subject {
    const struct session *session;
    char reversed[DNS_NAME_REVERSED_SIZE]; /* the client's address; "": it has none */
    size_t reversed_len;
};

/* For as long as the session's facts stay what they are. */
struct dnsbl_subject dnsbl_subject_of(const struct session *session);

/* The fact as it can stand in a reply: names with A-labels. NULL: there is none. */
const char *dnsbl_subject_text(struct session *session, enum config_dns_lookup lookup);

/* The name under which a list has the fact, normalized; false: it cannot have it. */
bool dnsbl_subject_name(const struct dnsbl_subject *subject, const struct dns_list *list,
                        enum config_dns_lookup lookup, char out[DNS_NAME_SIZE]);

/* How long the answer is good for. */
enum dns_span dnsbl_subject_span(enum config_dns_lookup lookup);

#endif
