/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client_facts - what `if client ...` in a file of patterns may ask of a session.
 */
#ifndef POSTERN_LIB_POLICY_CLIENT_FACTS_H
#define POSTERN_LIB_POLICY_CLIENT_FACTS_H

#include "lib/base/status.h"

struct session;

enum client_fact {
    CLIENT_LOCAL = 1u << 0,         /* this host: no address, a loopback address, or an own name */
    CLIENT_AUTHENTICATED = 1u << 1, /* it logged in, by any mechanism but ANONYMOUS */
    CLIENT_RELAY = 1u << 2,         /* it may relay: by its address, name, login or certificate */
};

/* "local", "authenticated", "relay", NULL: in the order of the bits, for a struct regex_dialect. */
extern const char *const client_facts_words[];

/* Of the first two, those that hold: this can always be known. */
unsigned client_facts_known(const struct session *session);

/* All that hold of the session's client now. STATUS_OK, or STATUS_TEMPFAIL: it cannot be known (a map cannot be read). */
enum status client_facts_ask(struct session *session, unsigned *facts_out);

#endif
