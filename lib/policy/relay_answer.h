/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_answer - what one question of the relay decision says.
 */
#ifndef POSTERN_LIB_POLICY_RELAY_ANSWER_H
#define POSTERN_LIB_POLICY_RELAY_ANSWER_H

#include "lib/policy/access_rules.h"
#include "lib/policy/rules.h"

enum relay_answer {
    RELAY_NO,      /* not by this; ask the next */
    RELAY_YES,     /* relaying is allowed */
    RELAY_UNKNOWN, /* a map cannot be read */
};

/* Only RELAY counts: any other value was the first found, and hides a RELAY further up. */
static inline enum relay_answer relay_answer_of(const struct access_match *match)
{
    if (match->status == STATUS_TEMPFAIL) {
        return RELAY_UNKNOWN;
    }
    return match->status == STATUS_OK && match->action.kind == ACTION_RELAY ? RELAY_YES : RELAY_NO;
}

/* Yes, and `why` goes to the trace. */
static inline enum relay_answer relay_answer_yes(const struct session *session, const char *why)
{
    rules_note(session, why);
    return RELAY_YES;
}

#endif
