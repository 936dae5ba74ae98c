/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rules - what the rule modules have in common: a result, and verdicts made of what a search found.
 */
#ifndef POSTERN_LIB_POLICY_RULES_H
#define POSTERN_LIB_POLICY_RULES_H

#include "lib/policy/access_rules.h"
#include "lib/policy/session.h"
#include "lib/policy/verdict.h"

#include <stdbool.h>

struct rules_result {
    struct verdict verdict;
    bool accepted; /* a rule said OK or RELAY: what comes later at this stage is not asked */
    bool internal; /* a refusal because something failed here, which no other rule may undo */
    bool relays;   /* a pattern said RELAY where that permits relaying */
};

/* No rule spoke. */
struct rules_result rules_nothing(void);

/* A rule said OK or RELAY. */
struct rules_result rules_accept(const struct access_match *match, const char *reason);

/* A refusal that no line of a file made. */
struct rules_result rules_refuse(int code, const char *dsn, const char *text, const char *reason);

/* An answer of DNS is not there yet. */
struct rules_result rules_wait(void);

/* "451 4.3.0": a map cannot be read. */
struct rules_result rules_tempfail(const char *reason);

/*
 * The result of a match (status OK or TEMPFAIL; not NOTFOUND). `reject` is the reply of REJECT. A verb that means
 * nothing in this place is a failure of the map: makemap lets none through.
 */
struct rules_result rules_apply(const struct access_match *match, const struct reply *reject,
                                const char *reason);

/* Has it decided, so that nothing further is asked at this stage? */
bool rules_decided(const struct rules_result *result);

/* Tells the trace, if there is one, what decided without a lookup. */
void rules_note(const struct session *session, const char *text);

#endif
