/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server_answers - the answers to one client of a server, in the order of its requests: some are there, some were promised.
 *
 * For the loop's thread; promises are kept from any thread (server_keep() in server.h).
 */
#ifndef POSTERN_MILTER_SERVER_ANSWERS_H
#define POSTERN_MILTER_SERVER_ANSWERS_H

#include "milter/eventloop.h"
#include "milter/server.h"

#include <stdbool.h>
#include <stddef.h>

struct server_answers {
    struct server_answer *first;
    struct server_answer **last;
    unsigned count;
    size_t sent; /* bytes of the first */
    struct eventloop *loop;
    void (*came)(void *owner); /* a promised answer is there */
    void *owner;
};

void server_answers_init(struct server_answers *answers, struct eventloop *loop,
                         void (*came)(void *owner), void *owner);

/* What was promised frees itself when it comes, as long as the loop lives. */
void server_answers_fini(struct server_answers *answers);

/* Appends an answer; the bytes are copied. */
void server_answers_add(struct server_answers *answers, const char *data, size_t len);
struct server_answer *server_answers_promise(struct server_answers *answers);

/* Is there one to be sent next? */
bool server_answers_ready(const struct server_answers *answers);

/* Sends what it can without waiting. False: the other side reads no more. *progress_out becomes true if anything went out. */
bool server_answers_send(struct server_answers *answers, int fd, bool *progress_out);

/* Throws away those that are next and there. */
void server_answers_discard(struct server_answers *answers);

#endif
