/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * address - an envelope address taken apart as Sendmail's ruleset 3 (canonify) does.
 *
 * Here is only syntax; what depends on which hosts are local is in policy/canonical. No I/O, safe for threads.
 */
#ifndef POSTERN_LIB_MAIL_ADDRESS_H
#define POSTERN_LIB_MAIL_ADDRESS_H

#include "lib/base/arena.h"
#include "lib/mail/reply.h"

#include <stdbool.h>

/* Longer addresses are refused: RFC 5321 (4.5.3.1.3) allows 256, Sendmail takes no more either. */
#define ADDRESS_MAX_LEN 1000u

struct address {
    const char *local;  /* with its quotes, if it has any */
    const char *domain; /* NULL: none */
};

/* Characters that make a local part name another host. */
struct address_operators {
    bool percent; /* user%host; off with nopercenthack */
    bool bang;    /* host!user; off with nouucp */
};

/* The typed address without comments, blanks, angle brackets and source route ("<@a,@b:u@c>" gives "u@c"). */
const char *address_strip(struct arena *arena, const char *typed);

/* The same with its source route. */
const char *address_unbracket(struct arena *arena, const char *typed);

/*
 * Splits a stripped address into local part and domain: at the last '@'; without one, host!user and user%host
 * count as user@host if `operators` says so. False with the reply that Sendmail gives if it cannot be
 * an address.
 */
bool address_split(struct arena *arena, const char *text, struct address_operators operators,
                   struct address *out, struct reply *error_out);

/*
 * The local part without its quotes if it is one quoted string that needs none (no blanks in it); else as it is. Quoted
 * pairs stay: their backslash still hides what follows.
 */
const char *address_dequote(struct arena *arena, const char *local);

/* Does the byte stand in the local part outside of quotes? */
bool address_has_byte(const char *local, char byte);

/* Any text without quotes, and each quoted pair without its backslash: as keys and replies have it. */
const char *address_plain(struct arena *arena, const char *text);

/* Does the local part hold '@', '%' or '!' (the last two as `operators` says) outside of quotes? */
bool address_has_operator(const char *local, struct address_operators operators);

/*
 * Is it `user@domain` in a form that all mail programs take for the same: one '@', a local part of what RFC 5322 allows in an atom, dots
 * and bytes beyond ASCII, but neither '%' nor '!', and a domain_is_plain() or an IP address in brackets behind it?
 */
bool address_is_plain(const char *address);

/* What stands behind the comment in parentheses that begins at `at`; comments nest (RFC 5322, 3.2.2). NULL: it is not closed. */
const char *address_skip_comment(const char *at);

/* `local@domain`, or `local` without a domain. */
const char *address_format(struct arena *arena, const struct address *address);

#endif
