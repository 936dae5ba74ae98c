/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/eventloop.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_IN_A_ROUND 64

struct eventloop {
    int epoll;
    int wake; /* eventfd: tasks, or the end */
    int64_t now;
    struct epoll_event
        events[EVENTS_IN_A_ROUND]; /* of this round; data.ptr NULL: no longer watched */
    int event_count;
    struct eventloop_timer **timers; /* a heap from slot 1 on: the next one is in slot 1 */
    size_t timer_count;
    size_t timer_size;

    pthread_mutex_t lock; /* for what follows */
    struct eventloop_task *first;
    struct eventloop_task **last;
    bool stopping;
    bool running; /* there is a thread */
    pthread_t thread;
};

static void read_clock(struct eventloop *loop)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    loop->now = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t eventloop_now(const struct eventloop *loop)
{
    return loop->now;
}

/* ---- begin and end ---- */

struct eventloop *eventloop_new(void)
{
    struct eventloop *loop = xcalloc(1, sizeof(*loop));
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = &loop->wake};

    (void)pthread_mutex_init(&loop->lock, NULL);
    loop->last = &loop->first;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    read_clock(loop);
    if (loop->epoll < 0 || loop->wake < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &wake) != 0) {
        eventloop_free(&loop);
    }
    return loop;
}

void eventloop_stop(struct eventloop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool running = loop->running;

    loop->stopping = true;
    (void)pthread_mutex_unlock(&loop->lock);
    if (running) {
        (void)eventfd_write(loop->wake, 1);
        (void)pthread_join(loop->thread, NULL);
        (void)pthread_mutex_lock(&loop->lock);
        loop->running = false;
        (void)pthread_mutex_unlock(&loop->lock);
    }
}

static bool run_tasks(struct eventloop *loop);

void eventloop_free(struct eventloop **loop)
{
    if (*loop == NULL) {
        return;
    }
    eventloop_stop(*loop);
    while (run_tasks(*loop)) {
    }
    if ((*loop)->epoll >= 0) {
        (void)close((*loop)->epoll);
    }
    if ((*loop)->wake >= 0) {
        (void)close((*loop)->wake);
    }
    (void)pthread_mutex_destroy(&(*loop)->lock);
    free((void *)(*loop)->timers);
    free(*loop);
    *loop = NULL;
}

/* ---- descriptors ---- */

/* What was reported in this round of a source that is no longer there. */
static void forget_events(struct eventloop *loop, const struct eventloop_source *source)
{
    for (int i = 0; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == source) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

bool eventloop_watch(struct eventloop *loop, struct eventloop_source *source, unsigned events)
{
    struct epoll_event event = {.data.ptr = source};

    if (events == source->events) {
        return true;
    }
    event.events = ((events & EVENTLOOP_READ) != 0 ? EPOLLIN : 0u) |
                   ((events & EVENTLOOP_WRITE) != 0 ? EPOLLOUT : 0u);
    int operation = events == 0           ? EPOLL_CTL_DEL
                    : source->events == 0 ? EPOLL_CTL_ADD
                                          : EPOLL_CTL_MOD;

    if (events == 0) {
        forget_events(loop, source);
    }
    if (epoll_ctl(loop->epoll, operation, source->fd, &event) != 0) {
        return false;
    }
    source->events = events;
    return true;
}

static void dispatch(struct eventloop *loop, int index)
{
    struct eventloop_source *source = loop->events[index].data.ptr;
    uint32_t got = loop->events[index].events;

    if ((void *)source == (void *)&loop->wake) {
        eventfd_t count;

        (void)eventfd_read(loop->wake, &count);
    } else if (source != NULL) {
        source->ready(source->owner,
                      ((got & EPOLLIN) != 0 ? (unsigned)EVENTLOOP_READ : 0u) |
                          ((got & EPOLLOUT) != 0 ? (unsigned)EVENTLOOP_WRITE : 0u) |
                          ((got & (EPOLLHUP | EPOLLERR)) != 0 ? (unsigned)EVENTLOOP_ENDED : 0u));
    }
}

/* ---- timers: a binary heap ---- */

static void put_timer(struct eventloop *loop, struct eventloop_timer *timer, size_t slot)
{
    loop->timers[slot] = timer;
    timer->slot = slot;
}

/* Towards the top as long as the parent is later. */
static size_t sift_up(struct eventloop *loop, struct eventloop_timer *timer, size_t slot)
{
    while (slot > 1 && loop->timers[slot / 2]->at > timer->at) {
        put_timer(loop, loop->timers[slot / 2], slot);
        slot /= 2;
    }
    put_timer(loop, timer, slot);
    return slot;
}

static void sift_down(struct eventloop *loop, struct eventloop_timer *timer, size_t slot)
{
    for (size_t child = slot * 2; child <= loop->timer_count; child = slot * 2) {
        if (child < loop->timer_count && loop->timers[child + 1]->at < loop->timers[child]->at) {
            child++;
        }
        if (loop->timers[child]->at >= timer->at) {
            break;
        }
        put_timer(loop, loop->timers[child], slot);
        slot = child;
    }
    put_timer(loop, timer, slot);
}

void eventloop_clear_timer(struct eventloop *loop, struct eventloop_timer *timer)
{
    size_t slot = timer->slot;

    if (slot == 0) {
        return;
    }
    struct eventloop_timer *moved = loop->timers[loop->timer_count--];

    timer->slot = 0;
    if (moved != timer) {
        sift_down(loop, moved, sift_up(loop, moved, slot));
    }
}

void eventloop_set_timer(struct eventloop *loop, struct eventloop_timer *timer, int delay_ms)
{
    eventloop_clear_timer(loop, timer);
    timer->at = loop->now + delay_ms;
    if (loop->timer_count + 1 >= loop->timer_size) {
        loop->timer_size = loop->timer_size == 0 ? 64 : 2 * loop->timer_size;
        loop->timers = xrealloc((void *)loop->timers,
                                loop->timer_size * sizeof(struct eventloop_timer *));
    }
    (void)sift_up(loop, timer, ++loop->timer_count);
}

static void run_timers(struct eventloop *loop)
{
    while (loop->timer_count > 0 && loop->timers[1]->at <= loop->now) {
        struct eventloop_timer *timer = loop->timers[1];

        eventloop_clear_timer(loop, timer);
        timer->expired(timer->owner);
    }
}

/* Milliseconds until the first timer; -1: there is none. */
static int time_to_wait(const struct eventloop *loop)
{
    if (loop->timer_count == 0) {
        return -1;
    }
    int64_t left = loop->timers[1]->at - loop->now;

    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* ---- tasks ---- */

void eventloop_post(struct eventloop *loop, struct eventloop_task *task)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool first = loop->first == NULL;

    task->next = NULL;
    *loop->last = task;
    loop->last = &task->next;
    (void)pthread_mutex_unlock(&loop->lock);
    if (first) {
        (void)eventfd_write(loop->wake, 1);
    }
}

/* Those that are there now; what they post comes in the next round. False: there were none. */
static bool run_tasks(struct eventloop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    struct eventloop_task *task = loop->first;

    loop->first = NULL;
    loop->last = &loop->first;
    (void)pthread_mutex_unlock(&loop->lock);
    if (task == NULL) {
        return false;
    }
    while (task != NULL) {
        struct eventloop_task *next = task->next;

        task->run(task->owner);
        task = next;
    }
    return true;
}

struct call {
    struct eventloop_task task;
    void (*function)(void *owner);
    void *owner;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    bool done;
};

static void carry_out(void *owner)
{
    struct call *call = owner;

    call->function(call->owner);
    (void)pthread_mutex_lock(&call->lock);
    call->done = true;
    (void)pthread_cond_signal(&call->returned);
    (void)pthread_mutex_unlock(&call->lock);
}

void eventloop_call(struct eventloop *loop, void (*function)(void *owner), void *owner)
{
    struct call call = {.function = function, .owner = owner};

    (void)pthread_mutex_lock(&loop->lock);
    bool here = !loop->running || pthread_equal(loop->thread, pthread_self()) != 0;

    (void)pthread_mutex_unlock(&loop->lock);
    if (here) {
        function(owner);
        return;
    }
    (void)pthread_mutex_init(&call.lock, NULL);
    (void)pthread_cond_init(&call.returned, NULL);
    call.task = (struct eventloop_task){.run = carry_out, .owner = &call};
    eventloop_post(loop, &call.task);
    (void)pthread_mutex_lock(&call.lock);
    while (!call.done) {
        (void)pthread_cond_wait(&call.returned, &call.lock);
    }
    (void)pthread_mutex_unlock(&call.lock);
    (void)pthread_cond_destroy(&call.returned);
    (void)pthread_mutex_destroy(&call.lock);
}

/* ---- the thread ---- */

static bool is_stopping(struct eventloop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    bool stopping = loop->stopping;

    (void)pthread_mutex_unlock(&loop->lock);
    return stopping;
}

static void *loop_thread(void *arg)
{
    struct eventloop *loop = arg;

    while (!is_stopping(loop)) {
        int count = epoll_wait(loop->epoll, loop->events, EVENTS_IN_A_ROUND, time_to_wait(loop));

        loop->event_count = count > 0 ? count : 0;
        read_clock(loop);
        for (int i = 0; i < loop->event_count; i++) {
            dispatch(loop, i);
        }
        loop->event_count = 0;
        run_timers(loop);
        (void)run_tasks(loop);
    }
    return NULL;
}

bool eventloop_start(struct eventloop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    loop->running = pthread_create(&loop->thread, NULL, loop_thread, loop) == 0;
    bool running = loop->running;

    (void)pthread_mutex_unlock(&loop->lock);
    return running;
}
