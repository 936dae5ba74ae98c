/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/dns_kit.h"
#include "lib/base/xalloc.h"
#include "lib/dns/dns_answer.h"
#include "lib/dns/dns_wire.h"
#include "tests/unit/dns_zone.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LATER_MAX 64

struct later {
    int64_t due;
    struct sockaddr_storage to;
    socklen_t to_len;
    size_t len;
    uint8_t *message;
};

struct dns_kit {
    pthread_t thread;
    int udp;
    int tcp;
    int stop;
    int family;
    uint16_t port;
    struct dns_zone *zone;
    struct later later[LATER_MAX];
    atomic_bool silent;
    atomic_uint questions;
    atomic_uint tcp_questions;
    atomic_uint probes;
};

static void die(const char *what)
{
    perror(what);
    exit(99);
}

/* ---- the network ---- */

/* False: nothing is to be sent. */
static bool answer(struct dns_kit *kit, const uint8_t *question, size_t len, bool tcp,
                   struct dns_zone_reply *reply)
{
    if (!dns_zone_answer(kit->zone, question, len, tcp, reply)) {
        return false;
    }
    (void)atomic_fetch_add(reply->name[0] == '\0' ? &kit->probes : &kit->questions, 1);
    (void)atomic_fetch_add(&kit->tcp_questions, tcp ? 1 : 0);
    return !reply->silent && !atomic_load(&kit->silent);
}

static void send_later(struct dns_kit *kit, const struct dns_zone_reply *reply,
                       const struct sockaddr_storage *to, socklen_t to_len)
{
    for (size_t i = 0; i < LATER_MAX; i++) {
        struct later *later = &kit->later[i];

        if (later->message == NULL) {
            later->due = dns_now() + (int64_t)reply->delay_ms * 1000000;
            later->to = *to;
            later->to_len = to_len;
            later->len = reply->len;
            later->message = xmalloc(reply->len);
            (void)memcpy(later->message, reply->message, reply->len);
            return;
        }
    }
}

static void send_due(struct dns_kit *kit)
{
    int64_t now = dns_now();

    for (size_t i = 0; i < LATER_MAX; i++) {
        struct later *later = &kit->later[i];

        if (later->message != NULL && now >= later->due) {
            (void)sendto(kit->udp, later->message, later->len, 0,
                         (const struct sockaddr *)&later->to, later->to_len);
            free(later->message);
            later->message = NULL;
        }
    }
}

static void serve_udp(struct dns_kit *kit)
{
    uint8_t question[1024];
    struct sockaddr_storage from;
    socklen_t size = sizeof(from);
    ssize_t len = recvfrom(kit->udp, question, sizeof(question), 0, (struct sockaddr *)&from,
                           &size);
    struct dns_zone_reply *reply = xcalloc(1, sizeof(*reply));

    if (len > 0 && answer(kit, question, (size_t)len, false, reply)) {
        if (reply->delay_ms > 0) {
            send_later(kit, reply, &from, size);
        } else {
            (void)sendto(kit->udp, reply->message, reply->len, 0, (const struct sockaddr *)&from,
                         size);
        }
    }
    free(reply);
}

static bool read_all(int fd, uint8_t *out, size_t len)
{
    return recv(fd, out, len, MSG_WAITALL) == (ssize_t)len;
}

/* One question, and the connection ends. */
static void serve_tcp(struct dns_kit *kit)
{
    int fd = accept(kit->tcp, NULL, NULL);
    uint8_t question[1024];
    struct dns_zone_reply *reply = xcalloc(1, sizeof(*reply));

    if (fd >= 0 && read_all(fd, question, 2)) {
        size_t len = dns_wire_get16(question);

        if (len <= sizeof(question) && read_all(fd, question, len) &&
            answer(kit, question, len, true, reply)) {
            const uint8_t size[2] = {(uint8_t)(reply->len >> 8), (uint8_t)reply->len};

            (void)send(fd, size, 2, MSG_NOSIGNAL | MSG_MORE);
            (void)send(fd, reply->message, reply->len, MSG_NOSIGNAL);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(reply);
}

static void *serve(void *arg)
{
    struct dns_kit *kit = arg;
    struct pollfd polls[3] = {{.fd = kit->stop, .events = POLLIN},
                              {.fd = kit->udp, .events = POLLIN},
                              {.fd = kit->tcp, .events = POLLIN}};

    for (;;) {
        (void)poll(polls, 3, 5);
        if (polls[0].revents != 0) {
            return NULL;
        }
        if (polls[1].revents != 0) {
            serve_udp(kit);
        }
        if (polls[2].revents != 0) {
            serve_tcp(kit);
        }
        send_due(kit);
    }
}

/* ---- life ---- */

static int open_socket(int family, int type, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } addr = {.any.sa_family = (sa_family_t)family};
    socklen_t size = family == AF_INET ? sizeof(addr.ipv4) : sizeof(addr.ipv6);
    int one = 1;
    int fd = socket(family, type | SOCK_CLOEXEC, 0);

    if (family == AF_INET) {
        addr.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        addr.ipv4.sin_port = htons(*port);
    } else {
        addr.ipv6.sin6_addr = in6addr_loopback;
        addr.ipv6.sin6_port = htons(*port);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, &addr.any, size) != 0 || getsockname(fd, &addr.any, &size) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET ? addr.ipv4.sin_port : addr.ipv6.sin6_port);
    return fd;
}

/* The same port for both. */
static bool open_sockets(struct dns_kit *kit, int family)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        kit->port = 0;
        kit->udp = open_socket(family, SOCK_DGRAM, &kit->port);
        kit->tcp = kit->udp >= 0 ? open_socket(family, SOCK_STREAM, &kit->port) : -1;
        if (kit->tcp >= 0 && listen(kit->tcp, 16) == 0) {
            return true;
        }
        (void)close(kit->udp);
    }
    return false;
}

static struct dns_kit *start(const char *zone, int family)
{
    struct dns_kit *kit = xcalloc(1, sizeof(*kit));

    if (!open_sockets(kit, family)) {
        free(kit);
        return NULL;
    }
    kit->family = family;
    kit->zone = dns_zone_new(zone);
    kit->stop = eventfd(0, EFD_CLOEXEC);
    if (kit->stop < 0 || pthread_create(&kit->thread, NULL, serve, kit) != 0) {
        die("dns_kit");
    }
    return kit;
}

struct dns_kit *dns_kit_start(const char *zone)
{
    struct dns_kit *kit = start(zone, AF_INET);

    if (kit == NULL) {
        die("dns_kit");
    }
    return kit;
}

struct dns_kit *dns_kit_start_ipv6(const char *zone)
{
    return start(zone, AF_INET6);
}

void dns_kit_stop(struct dns_kit **kit_ptr)
{
    struct dns_kit *kit = *kit_ptr;

    *kit_ptr = NULL;
    (void)eventfd_write(kit->stop, 1);
    (void)pthread_join(kit->thread, NULL);
    (void)close(kit->udp);
    (void)close(kit->tcp);
    (void)close(kit->stop);
    for (size_t i = 0; i < LATER_MAX; i++) {
        free(kit->later[i].message);
    }
    dns_zone_free(&kit->zone);
    free(kit);
}

struct dns_server dns_kit_server(const struct dns_kit *kit)
{
    struct dns_server server;
    char text[32];

    (void)snprintf(text, sizeof(text), kit->family == AF_INET ? "127.0.0.1:%u" : "[::1]:%u",
                   (unsigned)kit->port);
    if (!dns_server_parse(text, &server)) {
        die(text);
    }
    return server;
}

/* The options with `server` alone, which must outlive them. */
static struct resolver_options with_server(const struct resolver_options *options,
                                           const struct dns_server *server)
{
    struct resolver_options own = *options;

    own.servers = server;
    own.server_count = 1;
    return own;
}

struct resolver *dns_kit_resolver(const struct dns_kit *kit, const struct resolver_options *options)
{
    const struct dns_server server = dns_kit_server(kit);
    const struct resolver_options own = with_server(options, &server);
    struct strbuf why;

    strbuf_init(&why);
    struct resolver *resolver = resolver_new(&own, NULL, &why);

    if (resolver == NULL) {
        die(why.data);
    }
    strbuf_fini(&why);
    return resolver;
}

void dns_kit_take_over(const struct dns_kit *kit, struct resolver *resolver,
                       const struct resolver_options *options)
{
    const struct dns_server server = dns_kit_server(kit);
    const struct resolver_options own = with_server(options, &server);
    struct strbuf why;

    strbuf_init(&why);
    if (resolver_configure(resolver, &own, &why) != STATUS_OK) {
        die(why.data);
    }
    strbuf_fini(&why);
}

void dns_kit_silence(struct dns_kit *kit, bool silent)
{
    atomic_store(&kit->silent, silent);
}

unsigned dns_kit_questions(struct dns_kit *kit)
{
    return atomic_load(&kit->questions);
}

unsigned dns_kit_tcp_questions(struct dns_kit *kit)
{
    return atomic_load(&kit->tcp_questions);
}

unsigned dns_kit_probes(struct dns_kit *kit)
{
    return atomic_load(&kit->probes);
}
