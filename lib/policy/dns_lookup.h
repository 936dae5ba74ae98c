/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_lookup - questions of rules, with their traces; and what they have in common.
 */
#ifndef POSTERN_LIB_POLICY_DNS_LOOKUP_H
#define POSTERN_LIB_POLICY_DNS_LOOKUP_H

#include "lib/policy/dns_questions.h"
#include "lib/policy/session.h"

/* dns_questions_ask(), and the trace is told what was answered. NULL: return VERDICT_WAIT. */
const struct dns_result *dns_lookup(struct session *session, enum dns_span span, const char *name,
                                    enum dns_type type);

/* What an answer says, in the words of the log: "127.0.0.2", "10 mx.example", "nxdomain", "timeout". Lives until the end of the stage. */
const char *dns_lookup_text(struct session *session, const struct dns_result *result,
                            enum dns_type type);

/* Are addresses of a name known? */
enum dns_lookup_state {
    DNS_LOOKUP_FOUND,
    DNS_LOOKUP_NONE,
    DNS_LOOKUP_FAILED, /* it cannot be known now */
    DNS_LOOKUP_WAIT,   /* it is not known yet: return VERDICT_WAIT */
};

/* Has the name an A or AAAA record? */
enum dns_lookup_state dns_lookup_addresses(struct session *session, enum dns_span span,
                                           const char *name);

#endif
