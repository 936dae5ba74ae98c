/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz_site - the rules that questions of an MTA are answered by, and who logged in.
 *
 * Own name mx.here.test, local here.test, relay domain partner.test; Connect:10 and Connect:clients.test relay, so does mail To:
 * relay.test; 198.18.0.7 and 2001:db8:7::/64 logged in.
 */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_SITE_H
#define POSTERN_TESTS_FUZZ_FUZZ_SITE_H

#include "lib/policy/ruleset.h"
#include "lib/relay/relay_lookup.h"

#define FUZZ_SITE_RULESETS 4u

/* One of several, with different features; lives until the process ends. */
struct ruleset *fuzz_site_ruleset(unsigned which);

const struct relay_lookup *fuzz_site_relayers(void);

/* Does the text end in `.suffix` or is it `suffix`, in any case? Of `len` bytes. */
bool fuzz_site_ends_in(const char *text, size_t len, const char *suffix);

/* Is it the text of an address that may relay by itself? */
bool fuzz_site_is_friend(const char *text);

#endif
