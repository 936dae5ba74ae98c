/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control - the control socket: one request line, one answer, and the connection ends.
 *
 * Requests are carried out by threads of their own, so that one that takes long (a reload) holds up nobody else. When all
 * places are taken, the client that is silent for longest is dropped.
 */
#ifndef POSTERN_MILTER_CONTROL_H
#define POSTERN_MILTER_CONTROL_H

#include "lib/base/log.h"
#include "milter/eventloop.h"
#include "milter/server.h"

#define CONTROL_MAX_CLIENTS 16u
#define CONTROL_MAX_REQUEST 2048u /* bytes, with the newline */
#define CONTROL_DEADLINE_MS 5000
#define CONTROL_THREADS 2u

struct control;

/*
 * The answer to a request (without its newline): text that control frees with free(); never NULL. `descriptor` came with
 * the request by SCM_RIGHTS (a file to be read, say) and is closed after it; -1: none. Called by one of CONTROL_THREADS
 * threads: two requests may be carried out at the same time.
 */
typedef char *control_handler(void *owner, const char *request, int descriptor);

/* Serves `listen_fd`, which does not block and is control's from now on. NULL, and it is closed, if no thread can be made. */
struct control *control_start(struct eventloop *loop, int listen_fd, control_handler *handler,
                              void *owner, struct logger *logger);

/* Carries out what was asked for and frees all; answers go as far as they can be sent at once; NULL is legal. */
void control_stop(struct control **control);

#endif
