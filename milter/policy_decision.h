/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * policy_decision - what is answered to a question of Postfix's policy delegation: the relay decision of the stages.
 */
#ifndef POSTERN_MILTER_POLICY_DECISION_H
#define POSTERN_MILTER_POLICY_DECISION_H

#include "lib/base/status.h"
#include "milter/policy_request.h"

struct relay_lookup;
struct ruleset;
struct trace;

struct policy_facts {
    struct ruleset *ruleset;
    const struct relay_lookup *relayers; /* may be NULL */
    const char *hostname;                /* of this host, where the configuration names none */
    struct trace *trace;                 /* NULL: nobody looks */
};

/*
 * STATUS_OK: may be relayed (`OK`). All else is `DUNNO`, which leaves it to Postfix: STATUS_NOTFOUND: not by these rules; STATUS_TEMPFAIL:
 * it cannot be known; STATUS_INVALID: it is no question that can be answered. With the last two *why_out says more.
 */
enum status policy_decision_make(const struct policy_facts *facts,
                                 const struct policy_request *request, const char **why_out);

#endif
