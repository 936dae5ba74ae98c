/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/popauth_link.h"

#include "ctl/log_files.h"
#include "ctl/popauth_queue.h"
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* As many as the daemon reads before it has answered the first. */
#define MAX_UNANSWERED 64u
#define FIRST_PAUSE_MS 100
#define LAST_PAUSE_MS 5000
#define LAST_STALL_MS 2000 /* less than anything may wait: watch_loop.h */
/* A daemon that does not answer any more is as good as gone. */
#define ANSWER_MS 30000
#define ANSWER_MAX 1024u
#define MAY_PASS "temporary: "

struct popauth_link {
    const char *socket;
    struct logger *logger;
    struct popauth_queue *queue;
    size_t sent_bytes; /* of the request that is sent next */

    int fd; /* -1: there is no connection */
    char answer[ANSWER_MAX];
    size_t answer_len;
    int64_t heard_at; /* or: when there was nothing to be answered */
    int64_t retry_at;
    int64_t pause;
    int64_t lost_at; /* 0: it is not lost */

    /* While the daemon can do nothing: after a pause a round begins, with one request at a time until a login is done. */
    int64_t stalled_at; /* 0: it can */
    int64_t go_on_at;
    int64_t stall_pause;
};

struct popauth_link *popauth_link_new(const char *socket, size_t most, popauth_link_ended *ended,
                                      void *owner, struct logger *logger)
{
    struct popauth_link *link = xcalloc(1, sizeof(*link));

    link->socket = socket;
    link->logger = logger;
    link->queue = popauth_queue_new(most, ended, owner);
    link->fd = -1;
    link->pause = FIRST_PAUSE_MS;
    link->stall_pause = FIRST_PAUSE_MS;
    return link;
}

void popauth_link_free(struct popauth_link **link)
{
    if (*link == NULL) {
        return;
    }
    if ((*link)->fd >= 0) {
        (void)close((*link)->fd);
    }
    popauth_queue_free(&(*link)->queue);
    free(*link);
    *link = NULL;
}

bool popauth_link_is_full(const struct popauth_link *link)
{
    return popauth_queue_is_full(link->queue);
}

size_t popauth_link_count(const struct popauth_link *link)
{
    return popauth_queue_count(link->queue);
}

void popauth_link_add(struct popauth_link *link, const char *request, int64_t expires_at, void *ctx,
                      int64_t mark)
{
    popauth_queue_add(link->queue, request, expires_at, ctx, mark);
}

/* ---- the connection ---- */

/* With `since`, it is over. */
static void tell(const struct popauth_link *link, enum log_level level, const char *state,
                 const char *error, int64_t since)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "watch");
    log_field(&line, "socket", link->socket);
    log_field(&line, "state", state);
    log_field(&line, "error", error);
    if (since > 0) {
        log_field_uint(&line, "seconds", (unsigned long)((log_files_now() - since) / 1000));
    }
    log_field_uint(&line, "waiting", popauth_queue_count(link->queue));
    log_line(link->logger, level, line.data);
    strbuf_fini(&line);
}

/* Said once, until it is back. */
static void lose(struct popauth_link *link, const char *error)
{
    int64_t now = log_files_now();

    if (link->fd >= 0) {
        (void)close(link->fd);
        link->fd = -1;
    }
    popauth_queue_begin_round(link->queue);
    link->sent_bytes = 0;
    link->answer_len = 0;
    link->retry_at = now + link->pause;
    link->pause = link->pause * 2 < LAST_PAUSE_MS ? link->pause * 2 : LAST_PAUSE_MS;
    if (link->lost_at == 0) {
        tell(link, LOG_LEVEL_WARNING, "lost", error, 0);
        link->lost_at = now;
    }
}

static void connect_now(struct popauth_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        lose(link, strerror(errno));
        return;
    }
    if (strlen(link->socket) >= sizeof(address.sun_path)) {
        (void)close(fd);
        lose(link, strerror(ENAMETOOLONG));
        return;
    }
    (void)memcpy(address.sun_path, link->socket, strlen(link->socket) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;

        (void)close(fd);
        lose(link, strerror(error));
        return;
    }
    link->fd = fd;
    link->heard_at = log_files_now();
}

/* The daemon took a request and answered it: that it is back is known only now. */
static void note_answer(struct popauth_link *link)
{
    if (link->lost_at > 0) {
        tell(link, LOG_LEVEL_INFO, "back", NULL, link->lost_at);
    }
    link->lost_at = 0;
    link->pause = FIRST_PAUSE_MS;
    link->heard_at = log_files_now();
}

/* ---- a daemon that cannot do it now ---- */

static void stall(struct popauth_link *link, const char *error)
{
    if (link->stalled_at == 0) {
        tell(link, LOG_LEVEL_WARNING, "stalled", error, 0);
        link->stalled_at = log_files_now();
    }
}

/* A login was done: what else is done may need no store. */
static void go_on(struct popauth_link *link)
{
    if (link->stalled_at > 0) {
        tell(link, LOG_LEVEL_INFO, "goes_on", NULL, link->stalled_at);
        link->stalled_at = 0;
        link->stall_pause = FIRST_PAUSE_MS;
    }
}

/* All of a round are answered, and not all are done: the next one begins after a pause. */
static void pause_after_round(struct popauth_link *link)
{
    popauth_queue_begin_round(link->queue);
    link->go_on_at = log_files_now() + link->stall_pause;
    link->stall_pause = link->stall_pause * 2 < LAST_STALL_MS ? link->stall_pause * 2
                                                              : LAST_STALL_MS;
}

/* May a request be sent, as far as the daemon is concerned? */
static bool may_send(const struct popauth_link *link)
{
    size_t unanswered = popauth_queue_unanswered(link->queue);

    return link->stalled_at > 0 ? unanswered == 0 && log_files_now() >= link->go_on_at
                                : unanswered < MAX_UNANSWERED;
}

/* ---- sending ---- */

static bool is_early(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void send_more(struct popauth_link *link)
{
    const char *text;

    while (link->fd >= 0 && may_send(link) &&
           (text = popauth_queue_next(link->queue, link->sent_bytes > 0)) != NULL) {
        text += link->sent_bytes;
        ssize_t put = send(link->fd, text, strlen(text), MSG_NOSIGNAL);

        if (put < 0) {
            if (!is_early()) {
                lose(link, strerror(errno));
            }
            return;
        }
        link->sent_bytes += (size_t)put;
        if (text[put] == '\0') {
            link->heard_at = popauth_queue_unanswered(link->queue) == 0 ? log_files_now()
                                                                        : link->heard_at;
            popauth_queue_sent(link->queue);
            link->sent_bytes = 0;
        }
    }
}

/* ---- answers ---- */

static bool take_answer(struct popauth_link *link, const char *answer)
{
    bool is_ok = strcmp(answer, "ok") == 0;
    const char *why = answer + strlen("err ");

    if (popauth_queue_unanswered(link->queue) == 0 ||
        (!is_ok && strncmp(answer, "err ", strlen("err ")) != 0)) {
        return false;
    }
    note_answer(link);
    if (is_ok) {
        if (popauth_queue_done(link->queue) && popauth_queue_left(link->queue) == 0) {
            go_on(link);
        }
    } else if (strncmp(why, MAY_PASS, strlen(MAY_PASS)) == 0) {
        stall(link, why + strlen(MAY_PASS));
        popauth_queue_retell(link->queue);
    } else {
        popauth_queue_refused(link->queue, why);
    }
    if (popauth_queue_unanswered(link->queue) == 0 && popauth_queue_left(link->queue) > 0) {
        pause_after_round(link);
    }
    return true;
}

static bool take_answers(struct popauth_link *link)
{
    char *at = link->answer;
    char *end;

    while ((end = memchr(at, '\n', link->answer_len - (size_t)(at - link->answer))) != NULL) {
        *end = '\0';
        if (!take_answer(link, at)) {
            return false;
        }
        at = end + 1;
    }
    link->answer_len -= (size_t)(at - link->answer);
    (void)memmove(link->answer, at, link->answer_len);
    return link->answer_len < sizeof(link->answer);
}

static void receive(struct popauth_link *link)
{
    while (link->fd >= 0) {
        ssize_t got = recv(link->fd, link->answer + link->answer_len,
                           sizeof(link->answer) - link->answer_len, 0);

        if (got < 0 && is_early()) {
            return;
        }
        if (got == 0 && popauth_queue_unanswered(link->queue) == 0 && link->sent_bytes == 0) {
            (void)close(link->fd); /* nothing is lost: the next request needs a new one */
            link->fd = -1;
            return;
        }
        if (got <= 0) {
            lose(link, got == 0 ? "the daemon closed the connection" : strerror(errno));
            return;
        }
        link->answer_len += (size_t)got;
        if (!take_answers(link)) {
            lose(link, "the answer is none of ok and err");
        }
    }
}

/* ---- the owner's loop ---- */

/* If there is anything to be done then. */
static int until(const struct popauth_link *link, int64_t time)
{
    int64_t now = log_files_now();

    return popauth_queue_count(link->queue) == 0 ? -1 : time > now ? (int)(time - now) : 0;
}

int popauth_link_prepare(struct popauth_link *link, struct pollfd *poll_out)
{
    bool has_more = may_send(link) && popauth_queue_next(link->queue, link->sent_bytes > 0) != NULL;
    bool is_awaited = popauth_queue_unanswered(link->queue) > 0;

    *poll_out = (struct pollfd){.fd = link->fd, .events = POLLIN};
    if (link->fd >= 0) {
        poll_out->events = (short)(POLLIN | (has_more ? POLLOUT : 0));
        return is_awaited                          ? ANSWER_MS
               : link->stalled_at > 0 && !has_more ? until(link, link->go_on_at)
                                                   : -1;
    }
    return until(link, link->retry_at);
}

void popauth_link_work(struct popauth_link *link, short events)
{
    if (link->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(link);
    }
    if (link->fd >= 0 && popauth_queue_unanswered(link->queue) > 0 &&
        log_files_now() - link->heard_at > ANSWER_MS) {
        lose(link, "no answer");
    }
    if (popauth_queue_unanswered(link->queue) == 0 && link->sent_bytes == 0) {
        popauth_queue_expire(link->queue);
    }
    if (link->fd < 0 && popauth_queue_count(link->queue) > 0 && log_files_now() >= link->retry_at) {
        connect_now(link);
    }
    send_more(link);
}
