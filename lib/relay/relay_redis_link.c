/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_link.h"

#include "lib/base/arena.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_tls.h"
#include "lib/relay/relay_redis_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES (16u * 1024u)

#if HIREDIS_MAJOR >= 1
typedef size_t part_count;
#else
typedef int part_count;
#endif

/* Where an answer is built. */
struct builder {
    struct arena *arena;
    size_t parts;
    size_t bytes; /* read since the last answer was complete */
    bool is_too_large;
};

struct relay_redis_link {
    redisContext *context; /* the socket, and the parser */
    struct relay_redis_tls *tls;
    struct builder builder;
    struct strbuf command;
    struct strbuf scratch;
};

/* ---- answers, as the parser builds them ---- */

/* NULL, which ends the parser, for a part too many. */
static struct relay_redis_reply *new_part(const redisReadTask *task,
                                          enum relay_redis_reply_kind kind)
{
    struct builder *builder = task->privdata;

    if (++builder->parts > RELAY_REDIS_PARTS_MAX) {
        builder->is_too_large = true;
        return NULL;
    }
    struct relay_redis_reply *part = arena_alloc(builder->arena, sizeof(*part));

    *part = (struct relay_redis_reply){.kind = kind, .text = ""};
    if (task->parent != NULL) {
        struct relay_redis_reply *array = task->parent->obj;

        array->items[task->idx] = part;
    }
    return part;
}

static void *build_text(const redisReadTask *task, char *text, size_t len)
{
    const struct builder *builder = task->privdata;
    struct relay_redis_reply *part = new_part(
        task, task->type == REDIS_REPLY_ERROR ? RELAY_REDIS_ERROR : RELAY_REDIS_TEXT);

    if (part != NULL) {
        part->text = arena_strndup(builder->arena, text, len);
        part->len = len;
    }
    return part;
}

static void *build_array(const redisReadTask *task, part_count count)
{
    struct builder *builder = task->privdata;

    if ((size_t)count > RELAY_REDIS_PARTS_MAX - builder->parts) {
        builder->is_too_large = true;
        return NULL;
    }
    struct relay_redis_reply *part = new_part(task, RELAY_REDIS_ARRAY);

    if (part != NULL) {
        part->count = (size_t)count;
        part->items = arena_alloc(builder->arena, (part->count + 1) * sizeof(part->items[0]));
        memset(part->items, 0, (part->count + 1) * sizeof(part->items[0]));
    }
    return part;
}

static void *build_integer(const redisReadTask *task, long long integer)
{
    struct relay_redis_reply *part = new_part(task, RELAY_REDIS_INTEGER);

    if (part != NULL) {
        part->integer = integer;
    }
    return part;
}

static void *build_nil(const redisReadTask *task)
{
    return new_part(task, RELAY_REDIS_NIL);
}

static void keep(void *part)
{
    (void)part; /* the arena's */
}

#if HIREDIS_MAJOR >= 1
static void *build_double(const redisReadTask *task, double number, char *text, size_t len)
{
    (void)number;
    return build_text(task, text, len);
}

static void *build_bool(const redisReadTask *task, int truth)
{
    return build_integer(task, truth);
}
#endif

static const redisReplyObjectFunctions functions = {
    .createString = build_text,
    .createArray = build_array,
    .createInteger = build_integer,
    .createNil = build_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = build_double,
    .createBool = build_bool,
#endif
    .freeObject = keep,
};

/* ---- life ---- */

static bool finish_connecting(int fd, int64_t deadline_ms, struct strbuf *why)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (!relay_redis_wait(fd, POLLOUT, deadline_ms)) {
        strbuf_append(why, "no connection in time");
        return false;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error != 0) {
        strbuf_append(why, strerror(error));
    }
    return error == 0;
}

static bool connect_link(struct relay_redis_link *link, const struct relay_redis_url *url,
                         const char *ca_file, int64_t deadline_ms, struct strbuf *why)
{
    redisContext *context = url->kind == RELAY_REDIS_UNIX
                                ? redisConnectUnixNonBlock(url->path)
                                : redisConnectNonBlock(url->host, (int)url->port);

    link->context = context;
    if (context == NULL || context->err != 0) {
        strbuf_append(why, context == NULL ? "no memory" : context->errstr);
        return false;
    }
    (void)fcntl(context->fd, F_SETFD, FD_CLOEXEC);
    if (!finish_connecting(context->fd, deadline_ms, why)) {
        return false;
    }
    if (url->kind == RELAY_REDIS_TLS) {
        link->tls = relay_redis_tls_new(context->fd, url->host, ca_file, deadline_ms, why);
        if (link->tls == NULL) {
            return false;
        }
    }
    /* The parser takes a pointer to what it never changes. */
    context->reader->fn = (redisReplyObjectFunctions *)(uintptr_t)&functions;
    context->reader->privdata = &link->builder;
    return true;
}

struct relay_redis_link *relay_redis_link_open(const struct relay_redis_url *url,
                                               const char *ca_file, int64_t deadline_ms,
                                               struct strbuf *why)
{
    struct relay_redis_link *link = xcalloc(1, sizeof(*link));

    link->builder.arena = arena_new();
    strbuf_init(&link->command);
    strbuf_init(&link->scratch);
    if (!connect_link(link, url, ca_file, deadline_ms, why)) {
        relay_redis_link_close(&link);
    }
    return link;
}

void relay_redis_link_close(struct relay_redis_link **link)
{
    if (*link == NULL) {
        return;
    }
    relay_redis_tls_free(&(*link)->tls);
    if ((*link)->context != NULL) {
        redisFree((*link)->context);
    }
    arena_free(&(*link)->builder.arena);
    strbuf_fini(&(*link)->command);
    strbuf_fini(&(*link)->scratch);
    free(*link);
    *link = NULL;
}

struct strbuf *relay_redis_link_command(struct relay_redis_link *link)
{
    strbuf_reset(&link->command);
    return &link->command;
}

struct strbuf *relay_redis_link_scratch(struct relay_redis_link *link)
{
    strbuf_reset(&link->scratch);
    return &link->scratch;
}

/* ---- bytes ---- */

static ssize_t send_some(struct relay_redis_link *link, const char *bytes, size_t len,
                         short *events_out)
{
    *events_out = POLLOUT;
    return link->tls != NULL ? relay_redis_tls_write(link->tls, bytes, len, events_out)
                             : send(link->context->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t receive_some(struct relay_redis_link *link, char *buf, size_t size,
                            short *events_out)
{
    *events_out = POLLIN;
    return link->tls != NULL ? relay_redis_tls_read(link->tls, buf, size, events_out)
                             : recv(link->context->fd, buf, size, MSG_DONTWAIT);
}

/* After a call that could do nothing: waits, or says why that is of no use. */
static bool may_try_again(const struct relay_redis_link *link, short events, int64_t deadline_ms,
                          struct strbuf *why)
{
    if (errno == EINTR) {
        return true;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        strbuf_append(why, strerror(errno));
        return false;
    }
    if (!relay_redis_wait(link->context->fd, events, deadline_ms)) {
        strbuf_append(why, "no answer in time");
        return false;
    }
    return true;
}

bool relay_redis_link_send(struct relay_redis_link *link, const struct strbuf *commands,
                           int64_t deadline_ms, struct strbuf *why)
{
    size_t sent = 0;

    while (sent < commands->len) {
        short events;
        ssize_t done = send_some(link, commands->data + sent, commands->len - sent, &events);

        if (done > 0) {
            sent += (size_t)done;
        } else if (!may_try_again(link, events, deadline_ms, why)) {
            return false;
        }
    }
    return true;
}

/* True: *reply_out is what the parser has complete, or NULL. */
static bool parse(struct relay_redis_link *link, const struct relay_redis_reply **reply_out,
                  struct strbuf *why)
{
    void *reply = NULL;

    if (redisReaderGetReply(link->context->reader, &reply) != REDIS_OK) {
        strbuf_append(why, link->builder.is_too_large ? "its answer has too many parts"
                                                      : link->context->reader->errstr);
        return false;
    }
    *reply_out = reply;
    if (reply != NULL) {
        link->builder.bytes = 0;
    } else if (link->builder.bytes > RELAY_REDIS_ANSWER_MAX) {
        strbuf_append(why, "its answer is too long");
        return false;
    }
    return true;
}

/* Gives the parser what has come; waits for it. */
static bool feed(struct relay_redis_link *link, int64_t deadline_ms, struct strbuf *why)
{
    char buf[READ_BYTES];

    /* An answer is hardly ever there yet: to try would be a call for nothing. */
    if (link->tls == NULL && !relay_redis_wait(link->context->fd, POLLIN, deadline_ms)) {
        strbuf_append(why, "no answer in time");
        return false;
    }
    for (;;) {
        short events;
        ssize_t len = receive_some(link, buf, sizeof(buf), &events);

        if (len > 0) {
            link->builder.bytes += (size_t)len;
            if (redisReaderFeed(link->context->reader, buf, (size_t)len) == REDIS_OK) {
                return true;
            }
            strbuf_append(why, link->context->reader->errstr);
            return false;
        }
        if (len == 0) {
            strbuf_append(why, "it ended the connection");
            return false;
        }
        if (!may_try_again(link, events, deadline_ms, why)) {
            return false;
        }
    }
}

const struct relay_redis_reply *relay_redis_link_receive(struct relay_redis_link *link,
                                                         int64_t deadline_ms, struct strbuf *why)
{
    const struct relay_redis_reply *reply = NULL;

    arena_reset(link->builder.arena);
    link->builder.parts = 0;
    for (;;) {
        if (!parse(link, &reply, why)) {
            return NULL;
        }
        if (reply != NULL) {
            return reply;
        }
        if (!feed(link, deadline_ms, why)) {
            return NULL;
        }
    }
}

bool relay_redis_link_is_stale(const struct relay_redis_link *link)
{
    struct pollfd idle = {.fd = link->context->fd, .events = POLLIN};

    /* TLS has messages of its own (new session tickets), which the next read passes over. */
    if (poll(&idle, 1, 0) == 0) {
        return false;
    }
    return link->tls == NULL || (idle.revents & (POLLHUP | POLLERR)) != 0;
}
