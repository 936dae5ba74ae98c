/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * policy_server - Postfix's policy delegation over policy_socket: `action=OK` for what may be relayed, else `action=DUNNO`.
 *
 * The decision is that of the stages (policy_decision.h), made by threads of its own. What is not understood is DUNNO, and logged
 * once a minute, as is what could not be known.
 */
#ifndef POSTERN_MILTER_POLICY_SERVER_H
#define POSTERN_MILTER_POLICY_SERVER_H

#include "lib/base/log.h"
#include "milter/eventloop.h"

struct policy_server;
struct relay_lookup;
struct snapshot;

/*
 * Serves `listen_fd`, which does not block and is its own from now on. `relayers` may be NULL and must outlive it, as the others
 * must. NULL if there are no threads to be had.
 */
struct policy_server *policy_server_start(struct eventloop *loop, int listen_fd,
                                          struct snapshot *snapshot,
                                          const struct relay_lookup *relayers,
                                          struct logger *logger);

/* No new clients. */
void policy_server_close_socket(struct policy_server *policy);

/* Answers what was asked, ends the threads and frees all; NULL is legal. */
void policy_server_stop(struct policy_server **policy);

#endif
