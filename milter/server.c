/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/server.h"
#include "lib/base/xalloc.h"
#include "milter/server_client.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_IN_A_ROUND 16
#define PAUSE_MS 100 /* so long nobody is accepted when there is no place or no descriptor left */
#define CLIENTS_SHARE 8 /* of all descriptors: milter sessions need some, too */

struct server {
    struct server_clients clients;
    struct logger *logger;
    struct eventloop_source listener; /* fd -1: closed */
    struct eventloop_timer pause;
    unsigned max_clients;
};

/* ---- clients come ---- */

/* When all places are taken, the one that is silent for longest goes: *goes_out, else NULL. False: none may go now. */
static bool find_place(const struct server *server, struct server_client **goes_out)
{
    *goes_out = NULL;
    if (server_clients(server) < server->max_clients) {
        return true;
    }
    for (struct server_client *client = server->clients.oldest; client != NULL;
         client = server_client_next(client)) {
        if (server_client_may_go(client)) {
            *goes_out = client;
            return true;
        }
    }
    return false;
}

static struct server_peer find_peer(struct server *server, int fd)
{
    const char *name = server->clients.protocol->name;
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return (struct server_peer){.uid = (uid_t)-1, .gid = (gid_t)-1};
    }
    log_printf(server->logger, LOG_LEVEL_DEBUG, "event=%s pid=%ld uid=%lu gid=%lu", name,
               (long)peer.pid, (unsigned long)peer.uid, (unsigned long)peer.gid);
    return (struct server_peer){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
}

static void pause_accepting(struct server *server)
{
    (void)eventloop_watch(server->clients.loop, &server->listener, 0);
    eventloop_set_timer(server->clients.loop, &server->pause, PAUSE_MS);
}

static void listener_ready(void *owner, unsigned events)
{
    struct server *server = owner;

    (void)events;
    for (int i = 0; i < ACCEPT_IN_A_ROUND; i++) {
        struct server_client *goes;

        if (!find_place(server, &goes)) {
            pause_accepting(server); /* who comes now waits in the kernel's queue */
            return;
        }
        int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            if (goes != NULL) {
                server_client_drop(goes);
            }
            server_client_add(&server->clients, fd, find_peer(server, fd));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            pause_accepting(
                server); /* no descriptors or no memory: the clients wait, and so must we */
            return;
        }
    }
}

static void listen_again(void *owner)
{
    struct server *server = owner;

    if (!eventloop_watch(server->clients.loop, &server->listener, EVENTLOOP_READ)) {
        eventloop_set_timer(server->clients.loop, &server->pause, PAUSE_MS);
    }
}

/* ---- begin and end ---- */

unsigned server_clients(const struct server *server)
{
    return atomic_load_explicit(&server->clients.count, memory_order_relaxed);
}

static unsigned limit_clients(unsigned wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur / CLIENTS_SHARE < wanted) {
        return (unsigned)(limit.rlim_cur / CLIENTS_SHARE);
    }
    return wanted;
}

struct server *server_new(struct eventloop *loop, const struct server_protocol *protocol,
                          void *owner, int listen_fd, struct logger *logger)
{
    struct server *server = xcalloc(1, sizeof(*server));

    server->clients.loop = loop;
    server->clients.protocol = protocol;
    server->clients.owner = owner;
    server->clients.input = xmalloc(protocol->max_request);
    server->logger = logger;
    server->listener = (struct eventloop_source){
        .fd = listen_fd, .ready = listener_ready, .owner = server};
    server->pause = (struct eventloop_timer){.expired = listen_again, .owner = server};
    server->max_clients = limit_clients(protocol->max_clients);
    eventloop_call(loop, listen_again, server);
    return server;
}

static void close_socket(void *owner)
{
    struct server *server = owner;

    if (server->listener.fd >= 0) {
        (void)eventloop_watch(server->clients.loop, &server->listener, 0);
        eventloop_clear_timer(server->clients.loop, &server->pause);
        (void)close(server->listener.fd);
        server->listener.fd = -1;
    }
}

void server_close_socket(struct server *server)
{
    eventloop_call(server->clients.loop, close_socket, server);
}

static void finish(void *owner)
{
    struct server *server = owner;
    struct server_client *next;

    close_socket(server);
    for (struct server_client *client = server->clients.oldest; client != NULL; client = next) {
        next = server_client_next(client);
        server_client_finish(client);
    }
}

void server_finish(struct server *server)
{
    eventloop_call(server->clients.loop, finish, server);
}

static void end(void *owner)
{
    struct server *server = owner;

    finish(server); /* sends the answers that are there */
    while (server->clients.oldest != NULL) {
        server_client_drop(server->clients.oldest);
    }
    free(server->clients.input);
    free(server);
}

void server_free(struct server **server)
{
    if (*server != NULL) {
        eventloop_call((*server)->clients.loop, end, *server);
        *server = NULL;
    }
}
