/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    WIRE_LENGTH_BYTES = 4,
    WIRE_MAX_PACKET = 1024 * 1024, /* far more than any answer; a larger one means lost synchrony */
    WIRE_FIRST_SIZE = 1024,
    WIRE_CONNECT_SECONDS = 10
};

void wire_free(struct wire_buf *buf)
{
    free(buf->data);
    *buf = (struct wire_buf){0};
}

void wire_clear(struct wire_buf *buf)
{
    buf->len = 0;
    buf->done = 0;
}

void wire_bytes(struct wire_buf *buf, const void *data, size_t len)
{
    if (len > buf->size - buf->len) {
        size_t size = buf->size == 0 ? WIRE_FIRST_SIZE : buf->size;
        while (size - buf->len < len)
            size *= 2;
        char *grown = realloc(buf->data, size);
        if (grown == NULL) {
            perror("milterload");
            exit(75);
        }
        buf->data = grown;
        buf->size = size;
    }
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void wire_byte(struct wire_buf *buf, char byte)
{
    wire_bytes(buf, &byte, 1);
}

void wire_text(struct wire_buf *buf, const char *text)
{
    wire_bytes(buf, text, strlen(text) + 1);
}

void wire_u32(struct wire_buf *buf, uint32_t value)
{
    uint32_t net = htonl(value);
    wire_bytes(buf, &net, sizeof net);
}

size_t wire_begin(struct wire_buf *buf, char command)
{
    size_t start = buf->len;
    wire_u32(buf, 0);
    wire_byte(buf, command);
    return start;
}

void wire_end(struct wire_buf *buf, size_t start)
{
    uint32_t net = htonl((uint32_t)(buf->len - start - WIRE_LENGTH_BYTES));
    memcpy(buf->data + start, &net, sizeof net);
}

uint32_t wire_get_u32(const char *data)
{
    uint32_t net;
    memcpy(&net, data, sizeof net);
    return ntohl(net);
}

enum wire_status wire_take(struct wire_buf *buf, struct wire_packet *packet_out)
{
    size_t left = buf->len - buf->done;
    if (left < WIRE_LENGTH_BYTES)
        return WIRE_MORE;
    const char *start = buf->data + buf->done;
    uint32_t len = wire_get_u32(start);
    if (len == 0 || len > WIRE_MAX_PACKET)
        return WIRE_BAD;
    if (left - WIRE_LENGTH_BYTES < len)
        return WIRE_MORE;
    packet_out->command = start[WIRE_LENGTH_BYTES];
    packet_out->data = start + WIRE_LENGTH_BYTES + 1;
    packet_out->len = len - 1;
    buf->done += WIRE_LENGTH_BYTES + len;
    return WIRE_OK;
}

static int wire_fail(int fd, const char *text, const char **why_out)
{
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    *why_out = text;
    return -1;
}

/* A full backlog holds connect() up, as it would an MTA; a dead filter must not hold it for ever. */
static int wire_finish(int fd, const struct sockaddr *addr, socklen_t len, const char **why_out)
{
    struct timeval limit = {.tv_sec = WIRE_CONNECT_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, addr, len) != 0)
        return wire_fail(fd, strerror(errno), why_out);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return wire_fail(fd, strerror(errno), why_out);
    return fd;
}

static int wire_connect_unix(const char *path, const char **why_out)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path)
        return wire_fail(-1, "socket path too long", why_out);
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return wire_fail(fd, strerror(errno), why_out);
    return wire_finish(fd, (struct sockaddr *)&addr, sizeof addr, why_out);
}

static int wire_connect_inet(const char *spec, int family, const char **why_out)
{
    char port[32];
    const char *at = strchr(spec, '@');
    if (at == NULL || (size_t)(at - spec) >= sizeof port)
        return wire_fail(-1, "want inet:PORT@HOST", why_out);
    memcpy(port, spec, (size_t)(at - spec));
    port[at - spec] = '\0';
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int err = getaddrinfo(at + 1, port, &hints, &found);
    if (err != 0)
        return wire_fail(-1, gai_strerror(err), why_out);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fd = wire_finish(fd, found->ai_addr, found->ai_addrlen, why_out);
    } else {
        *why_out = strerror(errno);
    }
    freeaddrinfo(found);
    return fd;
}

int wire_connect(const char *spec, const char **why_out)
{
    if (strncmp(spec, "unix:", 5) == 0)
        return wire_connect_unix(spec + 5, why_out);
    if (strncmp(spec, "local:", 6) == 0)
        return wire_connect_unix(spec + 6, why_out);
    if (strncmp(spec, "inet:", 5) == 0)
        return wire_connect_inet(spec + 5, AF_INET, why_out);
    if (strncmp(spec, "inet6:", 6) == 0)
        return wire_connect_inet(spec + 6, AF_INET6, why_out);
    return wire_connect_unix(spec, why_out);
}
