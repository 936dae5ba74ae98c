/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/nudge.h"
#include "lib/base/xalloc.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Who has waited so long and waits still is nudged for: most waits for DNS are over by then. */
#define PAUSE_MS 10

/* Connections at a time: each frees one command that was left, and what it frees may wait, too. */
#define CONNECTIONS_MAX 8
#define WAITING_PER_CONNECTION 16

struct nudge {
    struct sockaddr_storage addr;
    socklen_t addr_len;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t begun;
    unsigned waiting;
    unsigned young; /* of these, those that began in this round */
    unsigned round; /* of the thread; what a ticket says */
};

/* ---- where to connect to ---- */

static bool find_unix(struct nudge *nudge, const char *path)
{
    struct sockaddr_un *addr = (struct sockaddr_un *)&nudge->addr;
    size_t len = strlen(path);

    if (len >= sizeof(addr->sun_path)) {
        return false;
    }
    addr->sun_family = AF_UNIX;
    (void)memcpy(addr->sun_path, path, len + 1);
    nudge->addr_len = sizeof(*addr);
    return true;
}

/* "PORT@HOST"; without a host the socket listens everywhere. */
static bool find_inet(struct nudge *nudge, int family, const char *text)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char *port = xstrdup(text);
    char *host = strchr(port, '@');

    if (host != NULL) {
        *host++ = '\0';
        host += *host == '[' ? 1 : 0;
        host[strcspn(host, "]")] = '\0';
    }
    bool done = getaddrinfo(host, port, &hints, &found) == 0;

    free(port);
    if (done) {
        (void)memcpy(&nudge->addr, found->ai_addr, found->ai_addrlen);
        nudge->addr_len = found->ai_addrlen;
        freeaddrinfo(found);
    }
    return done;
}

static bool find_address(struct nudge *nudge, const char *listen)
{
    const char *colon = strchr(listen, ':');
    const char *rest = colon != NULL ? colon + 1 : listen;

    return colon == NULL || strncasecmp(listen, "unix:", 5) == 0 ||
                   strncasecmp(listen, "local:", 6) == 0
               ? find_unix(nudge, rest)
           : strncasecmp(listen, "inet:", 5) == 0  ? find_inet(nudge, AF_INET, rest)
           : strncasecmp(listen, "inet6:", 6) == 0 ? find_inet(nudge, AF_INET6, rest)
                                                   : false;
}

/* ---- the thread ---- */

/* If it cannot be now, there is much to do anyway. */
static void connect_once(const struct nudge *nudge)
{
    int fd = socket(nudge->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0) {
        (void)connect(fd, (const struct sockaddr *)&nudge->addr, nudge->addr_len);
        (void)close(fd);
    }
}

/* How many have waited for a round and more, after waiting until somebody does. */
static unsigned wait_for_waiting(struct nudge *nudge)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    (void)pthread_mutex_lock(&nudge->mutex);
    while (nudge->waiting == 0) {
        (void)pthread_cond_wait(&nudge->begun, &nudge->mutex);
    }
    (void)pthread_mutex_unlock(&nudge->mutex);
    (void)nanosleep(&pause, NULL);
    (void)pthread_mutex_lock(&nudge->mutex);
    unsigned waiting = nudge->waiting - nudge->young;

    nudge->young = 0;
    nudge->round++;
    (void)pthread_mutex_unlock(&nudge->mutex);
    return waiting;
}

static void *run(void *arg)
{
    const struct nudge *nudge = arg;

    for (;;) {
        unsigned waiting = wait_for_waiting(arg);
        unsigned connections = waiting == 0 ? 0 : 1 + waiting / WAITING_PER_CONNECTION;

        connections = connections > CONNECTIONS_MAX ? CONNECTIONS_MAX : connections;
        while (connections-- > 0) {
            connect_once(nudge);
        }
    }
    return NULL;
}

/* ---- interface ---- */

struct nudge *nudge_start(const char *listen)
{
    struct nudge *nudge = xcalloc(1, sizeof(*nudge));
    pthread_t thread;

    (void)pthread_mutex_init(&nudge->mutex, NULL);
    (void)pthread_cond_init(&nudge->begun, NULL);
    if (!find_address(nudge, listen) || pthread_create(&thread, NULL, run, nudge) != 0) {
        (void)pthread_cond_destroy(&nudge->begun);
        (void)pthread_mutex_destroy(&nudge->mutex);
        free(nudge);
        return NULL;
    }
    (void)pthread_detach(thread);
    return nudge;
}

unsigned nudge_begin(struct nudge *nudge)
{
    if (nudge == NULL) {
        return 0;
    }
    (void)pthread_mutex_lock(&nudge->mutex);
    if (nudge->waiting++ == 0) {
        (void)pthread_cond_signal(&nudge->begun);
    }
    nudge->young++;
    unsigned ticket = nudge->round;

    (void)pthread_mutex_unlock(&nudge->mutex);
    return ticket;
}

void nudge_end(struct nudge *nudge, unsigned ticket)
{
    if (nudge == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&nudge->mutex);
    nudge->waiting--;
    nudge->young -= ticket == nudge->round ? 1 : 0;
    (void)pthread_mutex_unlock(&nudge->mutex);
}
