/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * socketmap - the maps that an MTA asks over map_socket: netstrings of map_answers, any number on a connection.
 *
 * What is no such question ends the connection. Questions that may wait for a file are answered by threads of their own, so that
 * those about who logged in never wait. What could not be known is logged once a minute.
 */
#ifndef POSTERN_MILTER_SOCKETMAP_H
#define POSTERN_MILTER_SOCKETMAP_H

#include "lib/base/log.h"
#include "milter/eventloop.h"

struct relay_lookup;
struct snapshot;
struct socketmap;

/*
 * Serves `listen_fd`, which does not block and is its own from now on. `relayers` may be NULL and must outlive it, as the others
 * must. NULL if there are no threads to be had.
 */
struct socketmap *socketmap_start(struct eventloop *loop, int listen_fd, struct snapshot *snapshot,
                                  const struct relay_lookup *relayers, struct logger *logger);

/* No new clients. */
void socketmap_close_socket(struct socketmap *socketmap);

/* Answers what was asked, ends the threads and frees all; NULL is legal. */
void socketmap_stop(struct socketmap **socketmap);

#endif
