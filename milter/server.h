/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server - a unix socket with many clients that ask and are answered, on an event loop.
 *
 * A protocol gets the bytes of a client until it has a whole request and answers it: at once, or later and from any thread.
 * Answers are sent in the order of the requests. The server does the rest, so that no client costs more than its share: one
 * read in a round, bounded input, no reading from who does not take its answers, a limit of clients, deadlines. A client
 * that is idle holds a few hundred bytes.
 */
#ifndef POSTERN_MILTER_SERVER_H
#define POSTERN_MILTER_SERVER_H

#include "lib/base/log.h"
#include "milter/eventloop.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server;
struct server_client; /* one connection */
struct server_answer; /* one that was promised */

/* What server_protocol.request returns if there is no number of bytes to return. */
#define SERVER_INCOMPLETE ((size_t)0) /* the request goes on: call again when more has come */
#define SERVER_END ((size_t)-1) /* no more requests of this client; it gets the answers so far */
#define SERVER_DROP \
    ((size_t)-2) /* it is gone at once, and sees that when it next writes; it gets no answers */

struct server_protocol {
    const char *name; /* for the log: "popauth" */

    /* Bytes; a client whose request is still incomplete then is dropped: refuse it before. */
    size_t max_request;

    /* Never more than an eighth of the process's descriptors. The client that is silent for longest makes room. */
    unsigned max_clients;

    /* Of one client: when so many answers are promised or not yet sent, it is not read from. */
    unsigned max_unanswered;

    int request_ms;        /* a request must be there, and an answer be taken, within this time */
    int idle_ms;           /* between requests; 0: for ever */
    bool one_request;      /* the connection ends after the first answer */
    bool takes_descriptor; /* clients may pass a descriptor: see server_take_descriptor() */

    /*
     * `len` bytes of a client, at least one, that begin with a request. If it is whole, answers it (one call of
     * server_reply() or server_promise(), or none) and returns its length; else SERVER_INCOMPLETE, SERVER_END or SERVER_DROP. In the
     * loop's thread, so it must not block; `owner` is that of the server.
     */
    size_t (*request)(void *owner, struct server_client *client, const char *data, size_t len);
};

/*
 * Serves a socket that listens and does not block; it is the server's from now on. `protocol` must outlive it. Safe for
 * threads.
 */
struct server *server_new(struct eventloop *loop, const struct server_protocol *protocol,
                          void *owner, int listen_fd, struct logger *logger);

/* No new clients: closes the socket that listens. Safe for threads. */
void server_close_socket(struct server *server);

/* No new requests, of nobody; what was promised will still be sent. Safe for threads. */
void server_finish(struct server *server);

/*
 * Drops all clients and frees the server. Promises may still be kept afterwards, as long as the loop lives; they go
 * nowhere. NULL is legal. Safe for threads.
 */
void server_free(struct server **server);

/* Number of clients now. Safe for threads. */
unsigned server_clients(const struct server *server);

/* ---- for protocols, in the loop's thread ---- */

/* Answers the request at once. The bytes are copied. */
void server_reply(struct server_client *client, const char *data, size_t len);

/* An answer that will come: exactly one server_keep() must follow, from any thread, whatever becomes of the client. */
struct server_answer *server_promise(struct server_client *client);

struct server_peer {
    pid_t pid; /* 0 if not known */
    uid_t uid;
    gid_t gid;
};

/* Who connected, by SO_PEERCRED. */
struct server_peer server_peer(const struct server_client *client);

/* The descriptor that came with the request, which is the caller's from now on; -1: none. */
int server_take_descriptor(struct server_client *client);

/* ---- for any thread ---- */

/* Gives a promised answer: copies the bytes. len 0: nothing is sent for this request. */
void server_keep(struct server_answer *answer, const char *data, size_t len);

/* The same with text that the server frees with free(), for long answers. */
void server_keep_owned(struct server_answer *answer, char *data, size_t len);

#endif
