/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relayload - many clients of popauth.sock at once, each with one login under way; README.md tells how it is used.
 *
 *   relayload SOCKET GRANTS [CONNECTIONS]     how many are acknowledged a second, as JSON
 *   relayload SOCKET tell FIRST               until the daemon goes away; each acknowledged address is told on standard output
 */
#include "lib/base/xalloc.h"
#include "tests/bench/relayaddr.h"

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 200u
#define LINE_SIZE 160u
#define EVENTS 256

struct client {
    int fd;
    char addr[NETADDR_TEXT_SIZE]; /* under way */
    char answer[LINE_SIZE];
    size_t len;
};

struct load {
    const char *path;
    int epoll;
    unsigned next;
    unsigned end;
    unsigned granted;
    unsigned refused;
    unsigned open;
    bool tell;
};

static double now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The daemon is gone, or the work is done. */
static void leave(struct load *load, struct client *client)
{
    close(client->fd);
    free(client);
    load->open--;
}

/* False: the daemon is gone. */
static bool send_next(struct load *load, struct client *client)
{
    char line[LINE_SIZE];
    struct netaddr addr = relayaddr(load->next++);

    (void)netaddr_format_short(&addr, client->addr);
    int len = snprintf(line, sizeof(line), "login %s user=someone@customer.example service=imap\n",
                       client->addr);

    client->len = 0;
    return send(client->fd, line, (size_t)len, MSG_NOSIGNAL) == len;
}

static void take_answer(struct load *load, const struct client *client)
{
    bool granted = strncmp(client->answer, "ok\n", 3) == 0;

    if (!granted && strncmp(client->answer, "err ", 4) != 0) {
        errx(1, "%s answers \"%.*s\"", load->path, (int)client->len, client->answer);
    }
    load->granted += granted;
    load->refused += !granted;
    if (granted && load->tell) {
        char text[NETADDR_TEXT_SIZE + 1];
        int len = snprintf(text, sizeof(text), "%s\n", client->addr);

        if (write(STDOUT_FILENO, text, (size_t)len) != len) {
            err(1, "standard output");
        }
    }
}

static void serve(struct load *load, struct client *client)
{
    ssize_t len = recv(client->fd, client->answer + client->len,
                       sizeof(client->answer) - client->len, 0);

    if (len <= 0) {
        leave(load, client);
        return;
    }
    client->len += (size_t)len;
    if (client->answer[client->len - 1] != '\n') {
        if (client->len == sizeof(client->answer)) {
            errx(1, "%s: an answer without end", load->path);
        }
        return;
    }
    take_answer(load, client);
    if (load->next == load->end || !send_next(load, client)) {
        leave(load, client);
    }
}

static void start_client(struct load *load)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct client *client = xcalloc(1, sizeof(*client));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", load->path);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 ||
        connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) {
        err(1, "%s", load->path);
    }
    load->open++;
    if (!send_next(load, client)) {
        leave(load, client);
    }
}

static void run(struct load *load, unsigned connections)
{
    struct epoll_event events[EVENTS];

    for (unsigned i = 0; i < connections && load->next != load->end; i++) {
        start_client(load);
    }
    while (load->open > 0) {
        int count = epoll_wait(load->epoll, events, EVENTS, -1);

        if (count < 0 && errno != EINTR) {
            err(1, "epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            serve(load, events[i].data.ptr);
        }
    }
}

int main(int argc, char **argv)
{
    struct load load = {.epoll = epoll_create1(EPOLL_CLOEXEC)};

    if (argc < 3 || load.epoll < 0) {
        errx(64, "usage: relayload SOCKET GRANTS [CONNECTIONS] | SOCKET tell FIRST");
    }
    load.path = argv[1];
    load.tell = strcmp(argv[2], "tell") == 0;
    if (load.tell) {
        load.next = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
        load.end = load.next - 1;
        run(&load, CONNECTIONS);
        return 0;
    }
    double start = now_ms();

    load.end = (unsigned)strtoul(argv[2], NULL, 10);
    run(&load, argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : CONNECTIONS);
    double ms = now_ms() - start;

    printf("{\"what\": \"popauth\", \"grants\": %u, \"refused\": %u, \"seconds\": %.3f, "
           "\"per_second\": %.0f}\n",
           load.granted, load.refused, ms / 1e3, (double)load.granted * 1e3 / ms);
    return load.refused == 0 ? 0 : 1;
}
