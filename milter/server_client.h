/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server_client - one connection of a server: what it sends is taken apart, what it asked for is sent back.
 *
 * A part of server.h that protocols do not see. For the loop's thread.
 */
#ifndef POSTERN_MILTER_SERVER_CLIENT_H
#define POSTERN_MILTER_SERVER_CLIENT_H

#include "milter/server.h"
#include "milter/server_answers.h"

#include <stdatomic.h>
#include <stdbool.h>

struct server_client;

/* In the order in which they last asked for something. */
struct server_clients {
    struct eventloop *loop;
    const struct server_protocol *protocol;
    void *owner; /* of the server */
    char *input; /* max_request bytes: where requests are taken apart */
    struct server_client *oldest;
    struct server_client *newest;
    atomic_uint count; /* any thread may look */
};

/* Serves a connection, which does not block, until it is dropped; the client may be gone already at the end of this. */
void server_client_add(struct server_clients *clients, int fd, struct server_peer peer);

void server_client_drop(struct server_client *client);

/* Sends what is there, takes no more requests and drops the client when it has its answers. It may be gone afterwards. */
void server_client_finish(struct server_client *client);

/* The next younger one. */
struct server_client *server_client_next(const struct server_client *client);

/*
 * May it be dropped to make room? Not while it waits for an answer that was promised, and not at once: the request of who has just come is
 * still to be read.
 */
bool server_client_may_go(const struct server_client *client);

#endif
