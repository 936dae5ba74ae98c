/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop and the threads beside it: descriptors, timers, and work that is handed over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "milter/eventloop.h"
#include "milter/workers.h"
#include "tests/unit/server_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int setup(void **state)
{
    struct eventloop *loop = eventloop_new();

    assert_non_null(loop);
    assert_true(eventloop_start(loop));
    *state = loop;
    return 0;
}

static int teardown(void **state)
{
    struct eventloop *loop = *state;

    eventloop_free(&loop);
    assert_null(loop);
    return 0;
}

static void nothing(void *owner)
{
    (void)owner;
}

/* Waits until a number that the loop's thread changes is at least `wanted`. */
static void wait_until(const atomic_int *number, int wanted)
{
    int64_t deadline = server_kit_now() + 20000;

    while (atomic_load(number) < wanted) {
        assert_true(server_kit_now() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* ---- timers ---- */

#define TIMERS 500

struct timers {
    struct eventloop *loop;
    struct alarm {
        struct timers *all;
        struct eventloop_timer timer;
        int64_t at; /* when it may come at the earliest */
        bool cleared;
    } alarms[TIMERS];
    int64_t last; /* that came, by its time */
    atomic_int came;
    atomic_int wrong;
};

static void alarm_came(void *owner)
{
    struct alarm *alarm = owner;
    struct timers *all = alarm->all;

    if (alarm->cleared || alarm->timer.at < all->last || eventloop_now(all->loop) < alarm->at) {
        atomic_fetch_add(&all->wrong, 1);
    }
    all->last = alarm->timer.at;
    atomic_fetch_add(&all->came, 1);
}

/* In a scattered order; each seventh is set twice, each fifth cleared. */
static void set_alarms(void *owner)
{
    struct timers *all = owner;

    for (int i = 0; i < TIMERS; i++) {
        struct alarm *alarm = &all->alarms[i];
        int delay = i * 7919 % 97;

        alarm->all = all;
        alarm->timer = (struct eventloop_timer){.expired = alarm_came, .owner = alarm};
        if (i % 7 == 0) {
            eventloop_set_timer(all->loop, &alarm->timer, 10000);
        }
        alarm->at = eventloop_now(all->loop) + delay;
        eventloop_set_timer(all->loop, &alarm->timer, delay);
    }
    for (int i = 0; i < TIMERS; i += 5) {
        all->alarms[i].cleared = true;
        eventloop_clear_timer(all->loop, &all->alarms[i].timer);
        eventloop_clear_timer(all->loop, &all->alarms[i].timer); /* legal */
    }
}

static void test_timers_come_once_and_in_order(void **state)
{
    struct timers *all = xcalloc(1, sizeof(*all));

    all->loop = *state;
    eventloop_call(all->loop, set_alarms, all);
    wait_until(&all->came, TIMERS - TIMERS / 5);
    (void)poll(NULL, 0, 50);
    eventloop_call(all->loop, nothing, NULL);
    assert_int_equal(all->came, TIMERS - TIMERS / 5);
    assert_int_equal(all->wrong, 0);
    free(all);
}

/* ---- work from elsewhere ---- */

#define POSTERS 4
#define POSTS 2000

struct poster {
    struct eventloop *loop;
    struct post {
        struct poster *poster;
        struct eventloop_task task;
        int number;
    } posts[POSTS];
    int next; /* that must come */
    atomic_int came;
    atomic_int wrong;
};

static void post_came(void *owner)
{
    struct post *post = owner;

    if (post->number != post->poster->next++) {
        atomic_fetch_add(&post->poster->wrong, 1);
    }
    atomic_fetch_add(&post->poster->came, 1);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    for (int i = 0; i < POSTS; i++) {
        poster->posts[i] = (struct post){.poster = poster, .number = i};
        poster->posts[i].task = (struct eventloop_task){.run = post_came,
                                                        .owner = &poster->posts[i]};
        eventloop_post(poster->loop, &poster->posts[i].task);
    }
    return NULL;
}

static void test_tasks_of_many_threads_run_once_and_in_order(void **state)
{
    struct poster *posters = xcalloc(POSTERS, sizeof(*posters));
    pthread_t threads[POSTERS];

    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = *state;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++) {
        (void)pthread_join(threads[i], NULL);
        wait_until(&posters[i].came, POSTS);
        assert_int_equal(posters[i].came, POSTS);
        assert_int_equal(posters[i].wrong, 0);
    }
    eventloop_call(*state, nothing, NULL);
    free(posters);
}

struct calls {
    struct eventloop *loop;
    pthread_t thread;
    int count;
};

static void called(void *owner)
{
    struct calls *calls = owner;

    calls->thread = pthread_self();
    if (++calls->count == 1) {
        eventloop_call(calls->loop, called, calls); /* from the loop itself */
    }
}

static void test_call_returns_when_it_was_done(void **state)
{
    struct calls calls = {.loop = *state};

    eventloop_call(calls.loop, called, &calls);
    assert_int_equal(calls.count, 2);
    assert_false(pthread_equal(calls.thread, pthread_self()));
    eventloop_stop(calls.loop);
    eventloop_call(calls.loop, called, &calls); /* nobody else is there to do it */
    assert_int_equal(calls.count, 3);
    assert_true(pthread_equal(calls.thread, pthread_self()));
}

/* ---- descriptors ---- */

struct pair {
    struct eventloop *loop;
    struct half {
        struct pair *pair;
        struct eventloop_source source;
    } halves[2];
    atomic_int came;
};

/* Whoever comes first removes both. */
static void half_ready(void *owner, unsigned events)
{
    struct half *half = owner;

    if ((events & EVENTLOOP_READ) != 0) {
        atomic_fetch_add(&half->pair->came, 1);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(eventloop_watch(half->pair->loop, &half->pair->halves[i].source, 0));
    }
}

static void watch_both(void *owner)
{
    struct pair *pair = owner;

    for (int i = 0; i < 2; i++) {
        pair->halves[i].pair = pair;
        pair->halves[i].source = (struct eventloop_source){
            .fd = eventfd(1, EFD_CLOEXEC), .ready = half_ready, .owner = &pair->halves[i]};
        assert_true(eventloop_watch(pair->loop, &pair->halves[i].source, EVENTLOOP_READ));
    }
}

static void test_source_that_was_removed_in_this_round_is_not_called(void **state)
{
    struct pair pair = {.loop = *state};

    eventloop_call(pair.loop, watch_both, &pair); /* both are ready in the next round */
    wait_until(&pair.came, 1);
    (void)poll(NULL, 0, 30);
    eventloop_call(pair.loop, nothing, NULL);
    assert_int_equal(pair.came, 1);
    for (int i = 0; i < 2; i++) {
        (void)close(pair.halves[i].source.fd);
    }
}

/* ---- workers ---- */

#define JOBS 300

struct work {
    struct workers_job jobs[JOBS];
    atomic_int done;
    atomic_int together;
    atomic_int most;
};

static void do_job(void *owner)
{
    struct work *work = owner;
    int together = atomic_fetch_add(&work->together, 1) + 1;
    int most = atomic_load(&work->most);

    while (together > most && !atomic_compare_exchange_weak(&work->most, &most, together)) {
    }
    (void)poll(NULL, 0, 1);
    atomic_fetch_sub(&work->together, 1);
    atomic_fetch_add(&work->done, 1);
}

static void test_workers_finish_what_was_submitted(void **state)
{
    struct workers *workers = workers_new(3);
    struct work *work = xcalloc(1, sizeof(*work));

    (void)state;
    assert_non_null(workers);
    for (int i = 0; i < JOBS; i++) {
        work->jobs[i] = (struct workers_job){.run = do_job, .owner = work};
        workers_submit(workers, &work->jobs[i]);
    }
    workers_free(&workers);
    assert_null(workers);
    assert_int_equal(work->done, JOBS);
    assert_in_range(work->most, 2, 3);
    free(work);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_timers_come_once_and_in_order),
        TEST(test_tasks_of_many_threads_run_once_and_in_order),
        TEST(test_call_returns_when_it_was_done),
        TEST(test_source_that_was_removed_in_this_round_is_not_called),
        TEST(test_workers_finish_what_was_submitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
