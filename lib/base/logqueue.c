/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/logqueue.h"
#include "lib/base/thread.h"
#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* From here on the thread does not wait for more. */
#define LOGQUEUE_MANY (LOGQUEUE_SIZE / 2)

struct logqueue {
    logqueue_write *write;
    void *ctx;
    pthread_t thread;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;
    bool asleep; /* the thread waits until somebody wakes it */
    bool hurry;  /* ... and must not wait for more */
    bool stop;
    bool busy; /* it writes */
    bool ended;
    pthread_cond_t done;
    size_t lost;
    char *filling; /* LOGQUEUE_SIZE bytes; records are put here ... */
    size_t len;
    char *writing; /* ... and the thread writes these */
};

/* ---- the thread ---- */

static struct timespec after(long ms)
{
    struct timespec when;

    (void)clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_nsec += ms * 1000000L;
    when.tv_sec += when.tv_nsec / 1000000000L;
    when.tv_nsec %= 1000000000L;
    return when;
}

/*
 * Waits until there is something to write, false: and never will be. The first line after a pause goes out at once. While lines keep
 * coming each round collects what comes in its time: nobody has to wake the thread, which costs more than the line.
 */
static bool wait_for_lines(struct logqueue *queue)
{
    const struct timespec when = after(LOGQUEUE_DELAY_MS);

    while (!queue->hurry && !queue->stop &&
           pthread_cond_timedwait(&queue->wake, &queue->mutex, &when) == 0) {
    }
    while (queue->len == 0 && queue->lost == 0 && !queue->stop) {
        queue->asleep = true;
        (void)pthread_cond_wait(&queue->wake, &queue->mutex);
        queue->asleep = false;
    }
    queue->hurry = false;
    return queue->len > 0 || queue->lost > 0;
}

static void *write_lines(void *arg)
{
    struct logqueue *queue = arg;

    (void)pthread_mutex_lock(&queue->mutex);
    while (wait_for_lines(queue)) {
        size_t len = queue->len;
        size_t lost = queue->lost;
        char *lines = queue->filling;

        queue->filling = queue->writing;
        queue->writing = lines;
        queue->len = 0;
        queue->lost = 0;
        queue->busy = true;
        (void)pthread_mutex_unlock(&queue->mutex);
        queue->write(queue->ctx, lines, len, lost);
        (void)pthread_mutex_lock(&queue->mutex);
        queue->busy = false;
        (void)pthread_cond_broadcast(&queue->done);
    }
    queue->ended = true;
    (void)pthread_cond_broadcast(&queue->done);
    (void)pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* ---- life ---- */

static void free_queue(struct logqueue *queue)
{
    (void)pthread_cond_destroy(&queue->wake);
    (void)pthread_cond_destroy(&queue->done);
    (void)pthread_mutex_destroy(&queue->mutex);
    free(queue->filling);
    free(queue->writing);
    free(queue);
}

struct logqueue *logqueue_start(logqueue_write *write, void *ctx)
{
    struct logqueue *queue = xcalloc(1, sizeof(*queue));

    queue->write = write;
    queue->ctx = ctx;
    queue->filling = xmalloc(LOGQUEUE_SIZE);
    queue->writing = xmalloc(LOGQUEUE_SIZE);
    (void)pthread_mutex_init(&queue->mutex, NULL);
    thread_cond_init(&queue->wake);
    thread_cond_init(&queue->done);
    int failed = thread_start(&queue->thread, write_lines, queue);

    if (failed != 0) {
        free_queue(queue);
        return NULL;
    }
    return queue;
}

void logqueue_stop(struct logqueue **queue_ptr, int deadline_ms)
{
    const struct timespec until = after(deadline_ms);
    struct logqueue *queue = *queue_ptr;
    int failed = 0;

    *queue_ptr = NULL;
    if (queue == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&queue->mutex);
    queue->stop = true;
    (void)pthread_cond_signal(&queue->wake);
    while (!queue->ended && failed == 0) {
        failed = pthread_cond_timedwait(&queue->done, &queue->mutex, &until);
    }
    bool ended = queue->ended;

    (void)pthread_mutex_unlock(&queue->mutex);
    if (ended) {
        (void)pthread_join(queue->thread, NULL);
        free_queue(queue);
    } else {
        (void)pthread_detach(queue->thread);
    }
}

bool logqueue_flush(struct logqueue *queue, int deadline_ms)
{
    const struct timespec until = after(deadline_ms);
    int failed = 0;

    (void)pthread_mutex_lock(&queue->mutex);
    queue->hurry = true;
    (void)pthread_cond_signal(&queue->wake);
    while ((queue->len > 0 || queue->lost > 0 || queue->busy) && failed == 0) {
        failed = pthread_cond_timedwait(&queue->done, &queue->mutex, &until);
    }
    bool done = queue->len == 0 && queue->lost == 0 && !queue->busy;

    (void)pthread_mutex_unlock(&queue->mutex);
    return done;
}

/* ---- who logs ---- */

static size_t length_of(const struct iovec *parts, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        len += parts[i].iov_len;
    }
    return len;
}

void logqueue_put(struct logqueue *queue, const struct iovec *parts, size_t count, bool urgent)
{
    size_t len = length_of(parts, count);

    (void)pthread_mutex_lock(&queue->mutex);
    if (len > LOGQUEUE_SIZE - queue->len) {
        queue->lost++;
    } else {
        for (size_t i = 0; i < count; i++) {
            (void)memcpy(queue->filling + queue->len, parts[i].iov_base, parts[i].iov_len);
            queue->len += parts[i].iov_len;
        }
    }
    bool hurry = !queue->hurry && (urgent || queue->len > LOGQUEUE_MANY);
    bool wake = hurry || queue->asleep;

    queue->hurry = queue->hurry || hurry;
    queue->asleep = false;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (wake) {
        (void)pthread_cond_signal(&queue->wake);
    }
}

const char *logqueue_rest(const struct logqueue *queue, size_t *len_out)
{
    *len_out = queue->len;
    return queue->filling;
}
