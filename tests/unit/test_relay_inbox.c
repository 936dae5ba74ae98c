/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/relay/relay_inbox.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MANY 1000u

/* A thread that notes what it gets. */
struct reader {
    struct relay_inbox inbox;
    struct relay_change *got[MANY + 1];
    atomic_size_t count;
    atomic_uint looks;
    bool has_signals;
};

static struct timespec after_seconds(time_t seconds)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    return until;
}

static void *read_all(void *ctx)
{
    struct reader *reader = ctx;
    struct relay_change *changes;
    struct timespec until = after_seconds(60);
    sigset_t blocked;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    reader->has_signals = sigismember(&blocked, SIGTERM) == 0 || sigismember(&blocked, SIGHUP) == 0;
    while (relay_inbox_take(&reader->inbox, &until, &changes)) {
        for (; changes != NULL; changes = changes->next) {
            reader->got[atomic_fetch_add(&reader->count, 1)] = changes;
        }
        (void)atomic_fetch_add(&reader->looks, 1);
    }
    return NULL;
}

static void await_looks(struct reader *reader, unsigned least)
{
    for (int try = 0; try < 3000 && atomic_load(&reader->looks) < least; try++) {
        (void)poll(NULL, 0, 10);
    }
    assert_true(atomic_load(&reader->looks) >= least);
}

/* All that was put before the end is taken, in its order, lists too. */
static void test_order_and_end(void **state)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    struct relay_change *changes = calloc(MANY, sizeof(*changes));

    (void)state;
    relay_inbox_init(&reader->inbox);
    assert_true(relay_inbox_start(&reader->inbox, read_all, reader));
    for (size_t i = 0; i < MANY; i += 2) {
        changes[i].next = &changes[i + 1];
        relay_inbox_put(&reader->inbox, &changes[i]);
    }
    relay_inbox_stop(&reader->inbox);
    assert_int_equal(atomic_load(&reader->count), MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(reader->got[i], &changes[i]);
    }
    assert_false(reader->has_signals);
    relay_inbox_fini(&reader->inbox);
    free(changes);
    free(reader);
}

static void test_wakes_without_a_change(void **state)
{
    struct reader *reader = calloc(1, sizeof(*reader));

    (void)state;
    relay_inbox_init(&reader->inbox);
    assert_true(relay_inbox_start(&reader->inbox, read_all, reader));
    relay_inbox_wake(&reader->inbox);
    await_looks(reader, 1);
    relay_inbox_wake(&reader->inbox);
    await_looks(reader, 2);
    relay_inbox_stop(&reader->inbox);
    assert_int_equal(atomic_load(&reader->count), 0);
    relay_inbox_fini(&reader->inbox);
    free(reader);
}

static void test_time(void **state)
{
    struct relay_inbox inbox;
    struct relay_change *changes;
    struct timespec now = after_seconds(0);

    (void)state;
    relay_inbox_init(&inbox);
    assert_true(relay_inbox_take(&inbox, &now, &changes));
    assert_null(changes);
    relay_inbox_stop(&inbox); /* there is no thread */
    assert_true(relay_inbox_take(&inbox, &now, &changes));
    relay_inbox_fini(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_end),
        cmocka_unit_test(test_wakes_without_a_change),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests_name("relay_inbox", tests, NULL, NULL);
}
