/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * classes - Sendmail's classes w (local names), m (own domains) and R (relay domains and address prefixes).
 *
 * Immutable, safe for threads. Lookups never fail: lists are read when the ruleset is made.
 */
#ifndef POSTERN_LIB_POLICY_CLASSES_H
#define POSTERN_LIB_POLICY_CLASSES_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

#include <stdbool.h>

struct classes;
struct session;

/* Reads the lists that the configuration names; NULL if one has an error (told to `diag`). */
struct classes *classes_load(const struct config *config, struct diag *diag);
void classes_free(struct classes **classes);

/*
 * Class w: local_host_names, localhost, the own host name and its first label, the own address in brackets; with
 * block_bad_helo the loopback literals.
 */
bool classes_is_local(const struct session *session, const char *name);

/* Class m, by suffix: local_domains and the domain of the own host name. */
bool classes_is_own_domain(const struct session *session, const char *name);

/* Class R: the name or one of its parents; with relay_hosts_only the name itself. */
bool classes_is_relay_domain(const struct session *session, const char *name);

/* Class R: the client's address or a network that holds it. */
bool classes_is_relay_client(const struct session *session);

#endif
