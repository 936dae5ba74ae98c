/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * policy_decision - what is answered to a question of Postfix's policy delegation: the relay decision of the stages.
 */
#ifndef POSTERN_MILTER_POLICY_DECISION_H
#define POSTERN_MILTER_POLICY_DECISION_H

#include "lib/base/status.h"
#include "lib/mail/reply.h"
#include "milter/policy_request.h"

struct policy_counts;
struct relay_lookup;
struct ruleset;
struct trace;

struct policy_facts {
    struct ruleset *ruleset;
    const struct relay_lookup *relayers; /* may be NULL */
    const char *hostname;                /* of this host, where the configuration names none */
    struct policy_counts *counts;        /* NULL: each request is about a message of its own */
    struct trace *trace;                 /* NULL: nobody looks */
};

/*
 * STATUS_OK: may be relayed (`OK`). All else is `DUNNO`, which leaves it to Postfix: STATUS_NOTFOUND: not by these rules; STATUS_TEMPFAIL:
 * it cannot be known; STATUS_INVALID: it is no question that can be answered. With the last two *why_out says more; with STATUS_NOTFOUND it is the name of the limit of a login that has
 * refused, and is left alone if none has.
 *
 * With STATUS_NOTFOUND, *later_out (may be NULL) is what to answer if nothing else in Postfix permits the recipient, as it may be permitted
 * later: a limit of what a login permits was reached; its `text` is NULL if that is not so. What a login permits
 * is counted, unless the listener's relay_control is "milter": then the filter counts.
 */
enum status policy_decision_make(const struct policy_facts *facts,
                                 const struct policy_request *request, const char **why_out,
                                 struct reply *later_out);

#endif
