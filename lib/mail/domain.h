/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * domain - host and domain names as text, and walks over their parts.
 *
 * Names are compared without regard to (ASCII) case. No I/O, safe for threads.
 */
#ifndef POSTERN_LIB_MAIL_DOMAIN_H
#define POSTERN_LIB_MAIL_DOMAIN_H

#include "lib/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* The longest name that lookups walk; what is longer has no entry (RFC 1035: 255). */
#define DOMAIN_MAX_LEN 1024u

/* The name without its first label and the dot, or NULL if there is none: "a.b.test" gives "b.test". */
const char *domain_parent(const char *name);

/* Does it stand in brackets: "[192.0.2.1]"? */
bool domain_is_literal(const char *name);

/* "[IPv6:2001:db8::1]" with all its groups, as Sendmail writes it; any other name as it is. In lower case. */
const char *domain_full_literal(struct arena *arena, const char *name);

/*
 * Is it a host name and nothing else: labels of letters, digits, '-', '_' and bytes beyond ASCII, with single dots between them, none at
 * the end, DOMAIN_MAX_LEN at most? The last label is no number, as it would be in an address or in a part of one.
 */
bool domain_is_plain(const char *name);

bool domain_equal(const char *a, const char *b);

/* Does `name` end in `suffix` as text, without regard to case? */
bool domain_ends_in(const char *name, const char *suffix);

/*
 * Is this byte one of Sendmail's operators, each of which is a token of its own? Class entries match at the
 * edges of tokens only.
 */
bool domain_is_operator(char c);

/*
 * The next later place in `name` at which a token starts, or NULL: for "a.b.test" these are ".b.test", "b.test",
 * ".test", "test". Start with `at` = name.
 */
const char *domain_next_token(const char *at);

/* A lower-case copy without trailing dots. */
const char *domain_normalize(struct arena *arena, const char *name);

/* Lower case, ASCII only, in place. */
void domain_fold(char *text);

#endif
