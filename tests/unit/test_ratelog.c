/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/ratelog.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define THREADS 4
#define TIMES 1000

static void test_once_a_minute(void **state)
{
    struct ratelog ratelog = {0};
    unsigned long withheld = 9;

    (void)state;
    assert_true(ratelog_due(&ratelog, &withheld));
    assert_int_equal(withheld, 0);
    for (int i = 0; i < 5; i++) {
        assert_false(ratelog_due(&ratelog, &withheld));
    }
    ratelog.said -= RATELOG_SECONDS;
    assert_true(ratelog_due(&ratelog, &withheld));
    assert_int_equal(withheld, 5);
    assert_false(ratelog_due(&ratelog, &withheld));
    ratelog.said -= RATELOG_SECONDS;
    assert_true(ratelog_due(&ratelog, &withheld));
    assert_int_equal(withheld, 1);
}

struct many {
    struct ratelog ratelog;
    atomic_int said;
};

static void *say(void *arg)
{
    struct many *many = arg;
    unsigned long withheld;

    for (int i = 0; i < TIMES; i++) {
        many->said += ratelog_due(&many->ratelog, &withheld) ? 1 : 0;
    }
    return NULL;
}

/* Of several threads one says it, and none is forgotten. */
static void test_threads(void **state)
{
    struct many many = {{0}, 0};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, say, &many), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(many.said, 1);
    assert_in_range(many.ratelog.withheld, THREADS * TIMES - THREADS, THREADS * TIMES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_a_minute),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests_name("ratelog", tests, NULL, NULL);
}
