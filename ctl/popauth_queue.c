/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/popauth_queue.h"

#include "ctl/log_files.h"
#include "lib/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct request {
    char *text;
    int64_t expires_at;
    void *ctx;
    int64_t mark;
    bool is_ended; /* but one before it is not */
    enum popauth_end end;
    char *answer;
};

struct popauth_queue {
    popauth_link_ended *ended;
    void *owner;
    struct request *ring;
    size_t most;
    size_t begin;
    size_t count;

    /* Of this round; places are counted from the first request. */
    size_t answered;   /* the next answer is for this one, or for one behind it */
    size_t sent;       /* this one is sent next, or one behind it */
    size_t unanswered; /* between the two */
    size_t left;
};

static struct request *request_at(const struct popauth_queue *queue, size_t place)
{
    return &queue->ring[(queue->begin + place) % queue->most];
}

struct popauth_queue *popauth_queue_new(size_t most, popauth_link_ended *ended, void *owner)
{
    struct popauth_queue *queue = xcalloc(1, sizeof(*queue));

    queue->ring = xcalloc(most, sizeof(*queue->ring));
    queue->most = most;
    queue->ended = ended;
    queue->owner = owner;
    return queue;
}

void popauth_queue_free(struct popauth_queue **queue)
{
    if (*queue == NULL) {
        return;
    }
    for (size_t i = 0; i < (*queue)->count; i++) {
        free(request_at(*queue, i)->text);
        free(request_at(*queue, i)->answer);
    }
    free((*queue)->ring);
    free(*queue);
    *queue = NULL;
}

size_t popauth_queue_count(const struct popauth_queue *queue)
{
    return queue->count;
}

bool popauth_queue_is_full(const struct popauth_queue *queue)
{
    return queue->count == queue->most;
}

void popauth_queue_add(struct popauth_queue *queue, const char *request, int64_t expires_at,
                       void *ctx, int64_t mark)
{
    *request_at(queue, queue->count++) = (struct request){
        .text = xstrdup(request), .expires_at = expires_at, .ctx = ctx, .mark = mark};
}

/* It has ended, which is told when those before it have. */
static void end(struct popauth_queue *queue, size_t place, enum popauth_end how, const char *answer)
{
    struct request *request = request_at(queue, place);

    request->is_ended = true;
    request->end = how;
    request->answer = xstrdup(answer);
    while (queue->count > 0 && request_at(queue, 0)->is_ended) {
        struct request first = *request_at(queue, 0);

        queue->begin = (queue->begin + 1) % queue->most;
        queue->count--;
        queue->answered -= queue->answered > 0;
        queue->sent -= queue->sent > 0;
        first.text[strcspn(first.text, "\n")] = '\0';
        queue->ended(queue->owner, first.ctx, first.mark, first.end, first.text, first.answer);
        free(first.text);
        free(first.answer);
    }
}

/* ---- sending ---- */

const char *popauth_queue_next(struct popauth_queue *queue, bool is_begun)
{
    int64_t now = log_files_now();

    while (queue->sent < queue->count) {
        const struct request *request = request_at(queue, queue->sent);

        if (request->is_ended) {
            queue->sent++;
        } else if (!is_begun && request->expires_at < now) {
            end(queue, queue->sent, POPAUTH_EXPIRED, "");
        } else {
            return request->text;
        }
    }
    return NULL;
}

void popauth_queue_sent(struct popauth_queue *queue)
{
    queue->sent++;
    queue->unanswered++;
}

size_t popauth_queue_unanswered(const struct popauth_queue *queue)
{
    return queue->unanswered;
}

/* ---- answers ---- */

static size_t take_answered(struct popauth_queue *queue)
{
    while (request_at(queue, queue->answered)->is_ended) {
        queue->answered++;
    }
    queue->unanswered--;
    return queue->answered++;
}

static bool is_verb(const char *request, const char *verb)
{
    return strncmp(request, verb, strlen(verb)) == 0;
}

/* From the blank before it on. */
static size_t address_of(const char *request, const char **address_out)
{
    *address_out = request + strcspn(request, " ");
    return **address_out == '\0' ? 0 : 1 + strcspn(*address_out + 1, " \n");
}

static bool is_same_address(const char *request, const char *other)
{
    const char *address;
    const char *other_address;
    size_t len = address_of(request, &address);

    return address_of(other, &other_address) == len && memcmp(address, other_address, len) == 0;
}

/* Is it a logout, and one of the same address before it is not done? It came too early, and meant nothing. */
static bool has_overtaken(const struct popauth_queue *queue, size_t place)
{
    const char *text = request_at(queue, place)->text;

    if (queue->left == 0 || !is_verb(text, "logout ")) {
        return false;
    }
    for (size_t i = 0; i < place; i++) {
        if (!request_at(queue, i)->is_ended && is_same_address(request_at(queue, i)->text, text)) {
            return true;
        }
    }
    return false;
}

bool popauth_queue_done(struct popauth_queue *queue)
{
    size_t place = take_answered(queue);
    bool is_login = is_verb(request_at(queue, place)->text, "login ");

    if (has_overtaken(queue, place)) {
        queue->left++;
    } else {
        end(queue, place, POPAUTH_DONE, "");
    }
    return is_login;
}

void popauth_queue_refused(struct popauth_queue *queue, const char *why)
{
    end(queue, take_answered(queue), POPAUTH_REFUSED, why);
}

void popauth_queue_retell(struct popauth_queue *queue)
{
    (void)take_answered(queue);
    queue->left++;
}

size_t popauth_queue_left(const struct popauth_queue *queue)
{
    return queue->left;
}

/* ---- rounds ---- */

void popauth_queue_begin_round(struct popauth_queue *queue)
{
    queue->answered = 0;
    queue->sent = 0;
    queue->unanswered = 0;
    queue->left = 0;
}

void popauth_queue_expire(struct popauth_queue *queue)
{
    int64_t now = log_files_now();

    while (queue->count > 0 && request_at(queue, 0)->expires_at < now) {
        end(queue, 0, POPAUTH_EXPIRED, "");
    }
}
