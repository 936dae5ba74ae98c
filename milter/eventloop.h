/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * eventloop - one thread that serves many descriptors: it waits for what is ready and never for one of them.
 *
 * All functions but those that say otherwise are for the loop's thread (the functions that it calls), or for anybody while
 * the thread does not run. Whoever is called must not block. What a caller hands in (sources, timers, tasks) is its own
 * storage; the loop only links it.
 */
#ifndef POSTERN_MILTER_EVENTLOOP_H
#define POSTERN_MILTER_EVENTLOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eventloop;

/* A loop without a thread; NULL if the system has no descriptors left for it. */
struct eventloop *eventloop_new(void);

/* Starts the thread; false if there is none to be had. */
bool eventloop_start(struct eventloop *loop);

/* Ends the thread, after the function that it is calling; safe for threads, and legal without a thread. */
void eventloop_stop(struct eventloop *loop);

/* Stops it, runs the tasks that are left and frees it. NULL is legal. */
void eventloop_free(struct eventloop **loop);

/* ---- descriptors ---- */

enum eventloop_event {
    EVENTLOOP_READ =
        1u
        << 0, /* can be read from, or a client waits to be accepted, or the other side has ended */
    EVENTLOOP_WRITE = 1u << 1, /* can be written to */
    EVENTLOOP_ENDED = 1u << 2, /* the other side is gone altogether; told without being asked for */
};

struct eventloop_source {
    int fd;
    void (*ready)(void *owner, unsigned events);
    void *owner;
    unsigned events; /* the loop's own, as is what follows */
};

/*
 * Has `ready` called when one of the events (EVENTLOOP_READ, EVENTLOOP_WRITE) is there, as long as it is. 0: no longer, not
 * even for EVENTLOOP_ENDED; to be done before the descriptor is closed. False if the system refuses.
 */
bool eventloop_watch(struct eventloop *loop, struct eventloop_source *source, unsigned events);

/* ---- time ---- */

/* Milliseconds of a clock that never goes back; the time of the last wake-up, which is cheap. */
int64_t eventloop_now(const struct eventloop *loop);

struct eventloop_timer {
    void (*expired)(void *owner);
    void *owner;
    int64_t at;  /* the loop's own, as is what follows */
    size_t slot; /* 0: not set */
};

/* Calls `expired` once, in `delay_ms` or a little later; an earlier setting is forgotten. */
void eventloop_set_timer(struct eventloop *loop, struct eventloop_timer *timer, int delay_ms);
void eventloop_clear_timer(struct eventloop *loop, struct eventloop_timer *timer);

/* ---- work from elsewhere ---- */

struct eventloop_task {
    void (*run)(void *owner);
    void *owner;
    struct eventloop_task *next; /* the loop's own */
};

/*
 * Has the loop's thread call `run` soon, after what it is doing; in the order in which tasks were posted. The task may be
 * freed or posted again by `run`. Safe for threads.
 */
void eventloop_post(struct eventloop *loop, struct eventloop_task *task);

/*
 * Calls `function` in the loop's thread and waits until it has returned; if there is no thread, or it is this one, here and
 * now. Safe for threads, but for eventloop_stop() at the same time.
 */
void eventloop_call(struct eventloop *loop, void (*function)(void *owner), void *owner);

#endif
