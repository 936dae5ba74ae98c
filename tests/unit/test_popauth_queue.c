/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The requests of a watcher: which is told when, and in which order they end. */
#include "ctl/log_files.h"
#include "ctl/popauth_queue.h"
#include "lib/base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOST 8

struct fixture {
    struct popauth_queue *queue;
    struct strbuf ended; /* "1 done\n2 refused why\n" */
};

static void note(void *owner, void *ctx, int64_t mark, enum popauth_end end, const char *request,
                 const char *text)
{
    static const char *const ends[] = {
        [POPAUTH_DONE] = "done", [POPAUTH_REFUSED] = "refused ", [POPAUTH_EXPIRED] = "expired"};
    struct fixture *fixture = owner;

    assert_null(ctx);
    assert_null(strchr(request, '\n'));
    strbuf_appendf(&fixture->ended, "%d %s%s\n", (int)mark, ends[end], text);
}

static int setup(void **state)
{
    static struct fixture fixture;

    fixture.queue = popauth_queue_new(MOST, note, &fixture);
    strbuf_init(&fixture.ended);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    popauth_queue_free(&fixture->queue);
    assert_null(fixture->queue);
    strbuf_fini(&fixture->ended);
    return 0;
}

static void add(struct fixture *fixture, int64_t mark, const char *text)
{
    popauth_queue_add(fixture->queue, text, INT64_MAX, NULL, mark);
}

static void send_all(struct fixture *fixture, const char *const texts[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *next = popauth_queue_next(fixture->queue, false);

        assert_non_null(next);
        assert_string_equal(next, texts[i]);
        popauth_queue_sent(fixture->queue);
    }
    assert_null(popauth_queue_next(fixture->queue, false));
    assert_int_equal(popauth_queue_unanswered(fixture->queue), count);
}

static void expect_ended(struct fixture *fixture, const char *expected)
{
    assert_string_equal(fixture->ended.data, expected);
    strbuf_reset(&fixture->ended);
}

#define A_IN "login 192.0.2.1 session=a\n"
#define A_OUT "logout 192.0.2.1 session=a\n"
#define B_IN "login 192.0.2.10 session=b\n"
#define B_OUT "logout 192.0.2.10 session=b\n"

static void test_in_their_order(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 1, A_IN);
    add(fixture, 2, B_IN);
    add(fixture, 3, A_OUT);
    send_all(fixture, (const char *const[]){A_IN, B_IN, A_OUT}, 3);
    assert_true(popauth_queue_done(fixture->queue));
    popauth_queue_refused(fixture->queue, "why");
    expect_ended(fixture, "1 done\n2 refused why\n");
    assert_false(popauth_queue_done(fixture->queue)); /* no login */
    expect_ended(fixture, "3 done\n");
    assert_int_equal(popauth_queue_count(fixture->queue), 0);
}

/* What was done stays done, and is told of in its turn; a logout that came before its login was done is told again. */
static void test_what_is_left(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 1, A_IN);
    add(fixture, 2, B_IN);
    add(fixture, 3, A_OUT);
    add(fixture, 4, B_OUT);
    send_all(fixture, (const char *const[]){A_IN, B_IN, A_OUT, B_OUT}, 4);
    popauth_queue_retell(fixture->queue);
    assert_true(popauth_queue_done(fixture->queue));
    assert_false(popauth_queue_done(fixture->queue)); /* too early */
    assert_false(popauth_queue_done(fixture->queue));
    assert_int_equal(popauth_queue_left(fixture->queue), 2);
    expect_ended(fixture, "");
    popauth_queue_begin_round(fixture->queue);
    add(fixture, 5, B_IN);
    send_all(fixture, (const char *const[]){A_IN, A_OUT, B_IN}, 3);
    assert_true(popauth_queue_done(fixture->queue));
    expect_ended(fixture, "1 done\n2 done\n");
    assert_false(popauth_queue_done(fixture->queue));
    expect_ended(fixture, "3 done\n4 done\n");
    assert_int_equal(popauth_queue_left(fixture->queue), 0);
    popauth_queue_begin_round(fixture->queue); /* the connection was lost */
    send_all(fixture, (const char *const[]){B_IN}, 1);
    popauth_queue_refused(fixture->queue, "");
    expect_ended(fixture, "5 refused \n");
}

static void test_too_old(void **state)
{
    struct fixture *fixture = *state;
    int64_t past = log_files_now() - 1;

    add(fixture, 1, A_IN);
    popauth_queue_add(fixture->queue, B_IN, past, NULL, 2);
    add(fixture, 3, B_OUT);
    popauth_queue_expire(fixture->queue); /* only the first ones */
    expect_ended(fixture, "");
    send_all(fixture, (const char *const[]){A_IN, B_OUT}, 2);
    assert_true(popauth_queue_done(fixture->queue));
    expect_ended(fixture, "1 done\n2 expired\n");
    assert_false(popauth_queue_done(fixture->queue));
    expect_ended(fixture, "3 done\n");
    popauth_queue_add(fixture->queue, A_IN, past, NULL, 4);
    assert_non_null(popauth_queue_next(fixture->queue, true)); /* half of it is sent */
    assert_null(popauth_queue_next(fixture->queue, false));
    expect_ended(fixture, "4 expired\n");
}

/* For ever, through a ring that is full again and again. */
static void test_ring(void **state)
{
    struct fixture *fixture = *state;
    int64_t mark = 0;
    char expected[32];

    for (int turn = 0; turn < 100; turn++) {
        while (!popauth_queue_is_full(fixture->queue)) {
            add(fixture, mark, mark % 2 == 0 ? A_IN : B_IN);
            mark++;
        }
        assert_int_equal(popauth_queue_count(fixture->queue), MOST);
        while (popauth_queue_next(fixture->queue, false) != NULL) {
            popauth_queue_sent(fixture->queue);
        }
        popauth_queue_retell(fixture->queue);
        for (int i = 1; i < MOST; i++) {
            assert_true(popauth_queue_done(fixture->queue));
        }
        popauth_queue_begin_round(fixture->queue);
        assert_non_null(popauth_queue_next(fixture->queue, false));
        popauth_queue_sent(fixture->queue);
        assert_true(popauth_queue_done(fixture->queue));
        assert_int_equal(popauth_queue_count(fixture->queue), 0);
        (void)snprintf(expected, sizeof(expected), "%d done\n", turn * MOST);
        assert_int_equal(strncmp(fixture->ended.data, expected, strlen(expected)), 0);
        strbuf_reset(&fixture->ended);
    }
    add(fixture, mark, A_IN); /* freed with the queue */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_in_their_order),
        TEST(test_what_is_left),
        TEST(test_too_old),
        TEST(test_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
