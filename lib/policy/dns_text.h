/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_text - replies about what DNS lists say, with %{words} in them.
 */
#ifndef POSTERN_LIB_POLICY_DNS_TEXT_H
#define POSTERN_LIB_POLICY_DNS_TEXT_H

#include "lib/base/arena.h"
#include "lib/mail/reply.h"

#include <stdbool.h>

/* What the words stand for; never NULL. */
struct dns_text {
    const char *client; /* %{client}: the client's address */
    const char *list;   /* %{list}: the list, or those that add up */
    const char *query;  /* %{query}: the address or domain that is listed */
    const char *answer; /* %{answer}: the address that the list answered */
    const char *text;   /* %{text}: its TXT record */
};

/* Can it be the reply? NULL: yes; else what is wrong with it. `first` is the digit that its code has to begin with, 0: 4 or 5. */
const char *dns_text_check(const char *reply, char first);

/* Does the reply want the TXT record? */
bool dns_text_wants_record(const char *reply);

/* The reply, its words replaced; lives in the arena. */
struct reply dns_text_reply(const char *reply, const struct dns_text *text, struct arena *arena);

#endif
