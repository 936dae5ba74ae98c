/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/control.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A line that does not end is answered, not obeyed. */
#define TOO_LONG "{\"version\":1,\"error\":\"the request is too long\"}"

struct client {
    int fd;
    int64_t deadline; /* monotonic milliseconds */
    char request[CONTROL_MAX_REQUEST + 1];
    size_t request_len;
    char *answer; /* NULL: the request is not complete */
    size_t answer_len;
    size_t sent;
};

struct control {
    int listen_fd;
    int stop_fd;
    control_handler *handler;
    void *owner;
    struct logger *logger;
    pthread_t thread;
    struct client clients[CONTROL_MAX_CLIENTS]; /* in the order in which they came */
    size_t count;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- clients ---- */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void drop(struct control *control, size_t index)
{
    (void)close(control->clients[index].fd);
    free(control->clients[index].answer);
    control->count--;
    (void)memmove(&control->clients[index], &control->clients[index + 1],
                  (control->count - index) * sizeof(control->clients[0]));
}

static void log_peer(struct control *control, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (log_enabled(control->logger, LOG_LEVEL_DEBUG) &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
        log_printf(control->logger, LOG_LEVEL_DEBUG, "event=control pid=%ld uid=%lu gid=%lu",
                   (long)peer.pid, (unsigned long)peer.uid, (unsigned long)peer.gid);
    }
}

static void admit(struct control *control)
{
    int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (!would_block() && errno != ECONNABORTED) {
            (void)poll(NULL, 0, 100); /* out of descriptors: the client waits, and so must we */
        }
        return;
    }
    if (control->count == CONTROL_MAX_CLIENTS) {
        drop(control, 0);
    }
    log_peer(control, fd);
    control->clients[control->count++] = (struct client){
        .fd = fd, .deadline = now_ms() + CONTROL_DEADLINE_MS};
}

static void give_answer(struct client *client, char *answer)
{
    client->answer = answer;
    client->answer_len = strlen(answer);
    client->answer[client->answer_len++] = '\n'; /* in the place of the NUL byte */
}

/* False: this client is done with. */
static bool read_request(struct control *control, struct client *client)
{
    ssize_t got = read(client->fd, client->request + client->request_len,
                       CONTROL_MAX_REQUEST - client->request_len);

    if (got <= 0) {
        return got < 0 && would_block();
    }
    client->request_len += (size_t)got;
    client->request[client->request_len] = '\0';
    char *end = memchr(client->request, '\n', client->request_len);

    if (end != NULL) {
        *end = '\0';
        give_answer(client, control->handler(control->owner, client->request));
        /* The work took the daemon's time, not the client's. */
        client->deadline = now_ms() + CONTROL_DEADLINE_MS;
    } else if (client->request_len == CONTROL_MAX_REQUEST) {
        give_answer(client, xstrdup(TOO_LONG));
    }
    return true;
}

/* What a client sends behind its request: close() would turn unread bytes into a reset and cost it the answer. */
static bool read_rest(struct client *client)
{
    char rest[512];
    ssize_t got = read(client->fd, rest, sizeof(rest));

    return got > 0 || (got < 0 && would_block());
}

static bool write_answer(struct client *client)
{
    ssize_t put = send(client->fd, client->answer + client->sent, client->answer_len - client->sent,
                       MSG_NOSIGNAL);

    if (put < 0) {
        return would_block();
    }
    client->sent += (size_t)put;
    return client->sent < client->answer_len || shutdown(client->fd, SHUT_WR) == 0;
}

static bool is_answered(const struct client *client)
{
    return client->answer != NULL && client->sent == client->answer_len;
}

/* What it waits for: its turn to be read from or written to. */
static short waits_for(const struct client *client)
{
    return client->answer == NULL || is_answered(client) ? POLLIN : POLLOUT;
}

static bool take_turn(struct control *control, struct client *client)
{
    return client->answer == NULL ? read_request(control, client)
           : is_answered(client)  ? read_rest(client)
                                  : write_answer(client);
}

/* ---- the thread ---- */

/* Backwards: drop() moves only those that were served. */
static void serve(struct control *control, const struct pollfd *polls, int64_t now)
{
    for (size_t i = control->count; i-- > 0;) {
        struct client *client = &control->clients[i];
        bool alive = true;

        if (polls[i].revents != 0) {
            alive = take_turn(control, client);
        }
        if (!alive || now >= client->deadline) {
            drop(control, i);
        }
    }
}

static void *control_thread(void *arg)
{
    struct control *control = arg;
    struct pollfd polls[CONTROL_MAX_CLIENTS + 2];

    for (;;) {
        size_t count = control->count;
        int64_t now = now_ms();
        int64_t wait = CONTROL_DEADLINE_MS;

        for (size_t i = 0; i < count; i++) {
            int64_t left = control->clients[i].deadline - now;

            wait = left < wait ? (left > 0 ? left : 0) : wait;
            polls[i] = (struct pollfd){.fd = control->clients[i].fd,
                                       .events = waits_for(&control->clients[i])};
        }
        polls[count] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
        polls[count + 1] = (struct pollfd){.fd = control->stop_fd, .events = POLLIN};
        if (poll(polls, (nfds_t)(count + 2), count > 0 ? (int)wait : -1) < 0) {
            if (errno != EINTR) {
                return NULL;
            }
            continue;
        }
        if (polls[count + 1].revents != 0) {
            return NULL;
        }
        serve(control, polls, now_ms());
        if (polls[count].revents != 0) {
            admit(control);
        }
    }
}

struct control *control_start(int listen_fd, control_handler *handler, void *owner,
                              struct logger *logger)
{
    struct control *control = xcalloc(1, sizeof(*control));

    control->listen_fd = listen_fd;
    control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    control->handler = handler;
    control->owner = owner;
    control->logger = logger;
    if (control->stop_fd >= 0 &&
        pthread_create(&control->thread, NULL, control_thread, control) == 0) {
        return control;
    }
    if (control->stop_fd >= 0) {
        (void)close(control->stop_fd);
    }
    free(control);
    return NULL;
}

void control_stop(struct control **control)
{
    if (*control == NULL) {
        return;
    }
    (void)eventfd_write((*control)->stop_fd, 1);
    (void)pthread_join((*control)->thread, NULL);
    while ((*control)->count > 0) {
        drop(*control, (*control)->count - 1);
    }
    (void)close((*control)->stop_fd);
    (void)close((*control)->listen_fd);
    free(*control);
    *control = NULL;
}
