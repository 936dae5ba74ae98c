/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/server_answers.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SEND_AT_ONCE 64

struct server_answer {
    struct eventloop *loop;
    struct server_answers *queue; /* NULL: its client is gone */
    struct eventloop_task task;
    struct server_answer *next;
    char *data;
    size_t len;
    bool given; /* known in the loop's thread */
};

static void free_answer(struct server_answer *answer)
{
    free(answer->data);
    free(answer);
}

void server_answers_init(struct server_answers *answers, struct eventloop *loop,
                         void (*came)(void *owner), void *owner)
{
    *answers = (struct server_answers){.loop = loop, .came = came, .owner = owner};
    answers->last = &answers->first;
}

void server_answers_fini(struct server_answers *answers)
{
    struct server_answer *next;

    for (struct server_answer *answer = answers->first; answer != NULL; answer = next) {
        next = answer->next;
        if (answer->given) {
            free_answer(answer);
        } else {
            answer->queue = NULL;
        }
    }
    server_answers_init(answers, answers->loop, answers->came, answers->owner);
}

struct server_answer *server_answers_promise(struct server_answers *answers)
{
    struct server_answer *answer = xcalloc(1, sizeof(*answer));

    answer->loop = answers->loop;
    answer->queue = answers;
    *answers->last = answer;
    answers->last = &answer->next;
    answers->count++;
    return answer;
}

static char *copy(const char *data, size_t len)
{
    return len == 0 ? NULL : memcpy(xmalloc(len), data, len);
}

void server_answers_add(struct server_answers *answers, const char *data, size_t len)
{
    struct server_answer *answer = server_answers_promise(answers);

    answer->data = copy(data, len);
    answer->len = len;
    answer->given = true;
}

/* ---- promises ---- */

static void answer_came(void *owner)
{
    struct server_answer *answer = owner;

    answer->given = true;
    if (answer->queue == NULL) {
        free_answer(answer);
    } else {
        answer->queue->came(answer->queue->owner);
    }
}

void server_keep_owned(struct server_answer *answer, char *data, size_t len)
{
    answer->data = data;
    answer->len = len;
    answer->task = (struct eventloop_task){.run = answer_came, .owner = answer};
    eventloop_post(answer->loop, &answer->task);
}

void server_keep(struct server_answer *answer, const char *data, size_t len)
{
    server_keep_owned(answer, copy(data, len), len);
}

/* ---- sending ---- */

bool server_answers_ready(const struct server_answers *answers)
{
    return answers->first != NULL && answers->first->given;
}

static void remove_first(struct server_answers *answers)
{
    struct server_answer *answer = answers->first;

    answers->first = answer->next;
    answers->last = answers->first == NULL ? &answers->first : answers->last;
    answers->count--;
    answers->sent = 0;
    free_answer(answer);
}

void server_answers_discard(struct server_answers *answers)
{
    while (server_answers_ready(answers)) {
        remove_first(answers);
    }
}

static size_t gather(const struct server_answers *answers, struct iovec parts[SEND_AT_ONCE])
{
    size_t count = 0;
    size_t skip = answers->sent;

    for (const struct server_answer *answer = answers->first;
         answer != NULL && answer->given && count < SEND_AT_ONCE; answer = answer->next) {
        parts[count++] = (struct iovec){
            .iov_base = answer->data == NULL ? NULL : answer->data + skip,
            .iov_len = answer->len - skip,
        };
        skip = 0;
    }
    return count;
}

static void count_sent(struct server_answers *answers, size_t put)
{
    answers->sent += put;
    while (server_answers_ready(answers) && answers->sent >= answers->first->len) {
        size_t left = answers->sent - answers->first->len;

        remove_first(answers);
        answers->sent = left;
    }
}

bool server_answers_send(struct server_answers *answers, int fd, bool *progress_out)
{
    struct iovec parts[SEND_AT_ONCE];
    struct msghdr message = {.msg_iov = parts};

    while ((message.msg_iovlen = gather(answers, parts)) > 0) {
        ssize_t put = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (put < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        *progress_out = true;
        count_sent(answers, (size_t)put);
    }
    return true;
}
