/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/popauth_link.h"

#include "ctl/log_files.h"
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
/* A daemon that does not answer any more is as good as gone. */
#define ANSWER_MS 30000
#define ANSWER_MAX 1024u

struct request {
    char *text;
    int64_t expires_at;
    void *ctx;
    int64_t mark;
};

struct popauth_link {
    const char *socket;
    popauth_link_ended *ended;
    void *owner;
    struct logger *logger;

    struct request *ring;
    size_t most;
    size_t begin;
    size_t count;
    size_t unanswered; /* sent, at the head of the ring */
    size_t sent_bytes; /* of the request behind them */

    int fd; /* -1: there is no connection */
    char answer[ANSWER_MAX];
    size_t answer_len;
    int64_t heard_at; /* or: when there was nothing to be answered */
    int64_t retry_at;
    int64_t pause;
    int64_t lost_at; /* 0: it is not lost */
};

static struct request *request_at(struct popauth_link *link, size_t index)
{
    return &link->ring[(link->begin + index) % link->most];
}

struct popauth_link *popauth_link_new(const char *socket, size_t most, popauth_link_ended *ended,
                                      void *owner, struct logger *logger)
{
    struct popauth_link *link = xcalloc(1, sizeof(*link));

    link->socket = socket;
    link->ended = ended;
    link->owner = owner;
    link->logger = logger;
    link->ring = xcalloc(most, sizeof(*link->ring));
    link->most = most;
    link->fd = -1;
    link->pause = FIRST_PAUSE_MS;
    return link;
}

void popauth_link_free(struct popauth_link **link)
{
    if (*link == NULL) {
        return;
    }
    for (size_t i = 0; i < (*link)->count; i++) {
        free(request_at(*link, i)->text);
    }
    if ((*link)->fd >= 0) {
        (void)close((*link)->fd);
    }
    free((*link)->ring);
    free(*link);
    *link = NULL;
}

bool popauth_link_is_full(const struct popauth_link *link)
{
    return link->count == link->most;
}

size_t popauth_link_count(const struct popauth_link *link)
{
    return link->count;
}

void popauth_link_add(struct popauth_link *link, const char *request, int64_t expires_at, void *ctx,
                      int64_t mark)
{
    *request_at(link, link->count++) = (struct request){xstrdup(request), expires_at, ctx, mark};
}

/* The first request is done with. */
static void end_first(struct popauth_link *link, enum popauth_end end, const char *text)
{
    struct request first = *request_at(link, 0);

    link->begin = (link->begin + 1) % link->most;
    link->count--;
    first.text[strcspn(first.text, "\n")] = '\0';
    link->ended(link->owner, first.ctx, first.mark, end, first.text, text);
    free(first.text);
}

/* ---- the connection ---- */

static void tell(const struct popauth_link *link, enum log_level level, const char *state,
                 const char *error)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "watch");
    log_field(&line, "socket", link->socket);
    log_field(&line, "state", state);
    log_field(&line, "error", error);
    if (link->lost_at > 0 && error == NULL) {
        log_field_uint(&line, "seconds", (unsigned long)((log_files_now() - link->lost_at) / 1000));
    }
    log_field_uint(&line, "waiting", link->count);
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
    link->unanswered = 0;
    link->sent_bytes = 0;
    link->answer_len = 0;
    link->retry_at = now + link->pause;
    link->pause = link->pause * 2 < LAST_PAUSE_MS ? link->pause * 2 : LAST_PAUSE_MS;
    if (link->lost_at == 0) {
        tell(link, LOG_LEVEL_WARNING, "lost", error);
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
        tell(link, LOG_LEVEL_INFO, "back", NULL);
    }
    link->lost_at = 0;
    link->pause = FIRST_PAUSE_MS;
    link->heard_at = log_files_now();
}

/* ---- sending ---- */

/* Requests that waited too long are forgotten before they are sent: they would be taken for new ones. */
static void expire(struct popauth_link *link)
{
    int64_t now = log_files_now();

    while (link->count > 0 && link->unanswered == 0 && link->sent_bytes == 0 &&
           request_at(link, 0)->expires_at < now) {
        end_first(link, POPAUTH_EXPIRED, "");
    }
}

static bool is_early(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void send_more(struct popauth_link *link)
{
    while (link->fd >= 0 && link->unanswered < MAX_UNANSWERED && link->unanswered < link->count) {
        const char *text = request_at(link, link->unanswered)->text + link->sent_bytes;
        ssize_t put = send(link->fd, text, strlen(text), MSG_NOSIGNAL);

        if (put < 0) {
            if (!is_early()) {
                lose(link, strerror(errno));
            }
            return;
        }
        link->sent_bytes += (size_t)put;
        if (text[put] == '\0') {
            link->heard_at = link->unanswered == 0 ? log_files_now() : link->heard_at;
            link->unanswered++;
            link->sent_bytes = 0;
        }
    }
}

/* ---- answers ---- */

static bool take_answer(struct popauth_link *link, const char *answer)
{
    bool is_ok = strcmp(answer, "ok") == 0;

    if (link->unanswered == 0 || (!is_ok && strncmp(answer, "err ", 4) != 0)) {
        return false;
    }
    link->unanswered--;
    note_answer(link);
    end_first(link, is_ok ? POPAUTH_DONE : POPAUTH_REFUSED, is_ok ? "" : answer + 4);
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
        if (got == 0 && link->unanswered == 0 && link->sent_bytes == 0) {
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

int popauth_link_prepare(struct popauth_link *link, struct pollfd *poll_out)
{
    int64_t now = log_files_now();
    bool has_more = link->unanswered < link->count && link->unanswered < MAX_UNANSWERED;

    *poll_out = (struct pollfd){.fd = link->fd, .events = POLLIN};
    if (link->fd >= 0) {
        poll_out->events = (short)(POLLIN | (has_more ? POLLOUT : 0));
        return link->unanswered == 0 ? -1 : ANSWER_MS;
    }
    if (link->count == 0) {
        return -1;
    }
    return link->retry_at > now ? (int)(link->retry_at - now) : 0;
}

void popauth_link_work(struct popauth_link *link, short events)
{
    if (link->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(link);
    }
    if (link->fd >= 0 && link->unanswered > 0 && log_files_now() - link->heard_at > ANSWER_MS) {
        lose(link, "no answer");
    }
    expire(link);
    if (link->fd < 0 && link->count > 0 && log_files_now() >= link->retry_at) {
        connect_now(link);
    }
    send_more(link);
}
