/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control - the control socket: one request line, one answer, and the connection ends.
 *
 * One thread serves a few clients at a time. Each has a deadline, so that a silent one holds up neither the others nor the
 * daemon's end; when all places are taken, the one that waits longest is dropped.
 */
#ifndef POSTERN_MILTER_CONTROL_H
#define POSTERN_MILTER_CONTROL_H

#include "lib/base/log.h"

#define CONTROL_MAX_CLIENTS 16u
#define CONTROL_MAX_REQUEST 256u /* bytes, with the newline */
#define CONTROL_DEADLINE_MS 5000

struct control;

/* The answer to a request (without its newline): text that control frees with free(); never NULL. */
typedef char *control_handler(void *owner, const char *request);

/* Starts the thread. `listen_fd` does not block, and is closed by control_stop(). NULL if no thread can be made. */
struct control *control_start(int listen_fd, control_handler *handler, void *owner,
                              struct logger *logger);

/* Ends the thread (after the request that it is working on) and frees all; NULL is legal. */
void control_stop(struct control **control);

#endif
