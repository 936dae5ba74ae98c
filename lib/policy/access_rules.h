/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * access_rules - Sendmail's searches of the access map: for a domain, an address, a user.
 *
 * Each key is tried with its tag, then (where the search says so) without; the first key that exists decides, whatever its
 * value: rulesets D, A, F, U and E of Sendmail's cf/m4/proto.m4, see postern-access(5).
 */
#ifndef POSTERN_LIB_POLICY_ACCESS_RULES_H
#define POSTERN_LIB_POLICY_ACCESS_RULES_H

#include "lib/base/status.h"
#include "lib/policy/action.h"
#include "lib/policy/session.h"

#include <stdbool.h>

struct table;

/* A search: where, and with which tag. */
struct access_search {
    struct session *session;
    const struct table *table;
    const char *tag; /* "connect:", in lower case; "": keys have none */
    bool tag_only;   /* bare keys are not tried */
};

struct access_match {
    enum status status; /* OK: found; NOTFOUND, also for a SKIP of a domain or address; TEMPFAIL */
    bool skip;          /* NOTFOUND because of SKIP */
    struct action action;     /* with OK */
    struct verdict_rule rule; /* with OK */
};

/* The search in the configured access map; status is NOTFOUND everywhere if none is configured. */
struct access_search access_search_init(struct session *session, const char *tag, bool tag_only);

/*
 * D: the domain and its parents (with lookupdotdomain ".rest" before each); a literal "[10.1.2.3]" loses octets or
 * groups from its end.
 */
struct access_match access_find_domain(const struct access_search *search, const char *domain);

/* A: the client's address and its networks, longest prefix first. */
struct access_match access_find_client(const struct access_search *search);

/* F: local@domain; with a detail also user+*@domain and user@domain. */
struct access_match access_find_full(const struct access_search *search, const char *local,
                                     const char *domain);

/* U: local@; with a detail also user+*@ and user@. */
struct access_match access_find_user(const struct access_search *search, const char *local);

/* E: the key itself. */
struct access_match access_find_exact(const struct access_search *search, const char *key);

/* The searches named by the letters of `order` ("FUD") one after another, until one finds something. */
struct access_match access_find(const struct access_search *search, const char *order,
                                const char *local, const char *domain);

#endif
