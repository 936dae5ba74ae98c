/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_answer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

#define WAITERS 8
#define ANSWERS 50

static void test_answer_is_not_ready_until_it_is_complete(void **state)
{
    struct dns_answer *answer = dns_answer_new("a.example", DNS_MX);

    (void)state;
    assert_string_equal(dns_answer_name(answer), "a.example");
    assert_int_equal(dns_answer_type(answer), DNS_MX);
    assert_false(dns_answer_is_ready(answer));
    assert_int_equal(dns_answer_result(answer)->status, DNS_TEMPFAIL);
    assert_int_equal(dns_answer_result(answer)->failure, DNS_FAILURE_TIMEOUT);
    dns_answer_complete(answer, dns_result_failure(DNS_FAILURE_SERVFAIL, 7), 42);
    assert_true(dns_answer_is_ready(answer));
    assert_int_equal(dns_answer_result(answer)->failure, DNS_FAILURE_SERVFAIL);
    assert_int_equal(dns_answer_result(answer)->ttl, 7);
    assert_int_equal(dns_answer_latency_us(answer), 42);
    assert_true(dns_answer_wait(answer, 0));
    dns_answer_unref(&answer);
    assert_null(answer);
    dns_answer_unref(&answer);
}

static void test_result_copies_records_and_texts(void **state)
{
    char text[] = "mx.example";
    struct dns_record records[2] = {{.preference = 5, .text = text}, {.text = ""}};
    const struct dns_result from = {
        .status = DNS_FOUND, .name = text, .count = 2, .records = records, .ttl = 9};
    struct dns_result *result = dns_result_new(&from);
    struct dns_answer *answer = dns_answer_new("a.example", DNS_MX);

    (void)state;
    (void)memset(text, 'x', sizeof(text) - 1);
    records[0].preference = 1;
    dns_answer_complete(answer, result, 0);
    const struct dns_result *kept = dns_answer_result(answer);

    assert_string_equal(kept->name, "mx.example");
    assert_string_equal(kept->records[0].text, "mx.example");
    assert_int_equal(kept->records[0].preference, 5);
    assert_string_equal(kept->records[1].text, "");
    assert_in_range(kept->bytes, sizeof(*kept) + 2 * sizeof(records[0]) + 23, 1000);
    dns_answer_unref(&answer);
}

static void test_wait_ends_at_the_deadline(void **state)
{
    struct dns_answer *answer = dns_answer_new("a.example", DNS_A);
    int64_t begun = dns_now();

    (void)state;
    assert_false(dns_answer_wait(answer, begun + 50 * MS));
    assert_in_range(dns_now() - begun, 50 * MS, 2000 * MS);
    assert_false(dns_answer_wait(answer, begun)); /* it is over already */
    assert_false(dns_answer_wait(answer, 0));
    /* Nobody waits any more: nothing is touched that is gone. */
    dns_answer_complete(answer, dns_result_failure(DNS_FAILURE_SERVFAIL, 0), 0);
    dns_answer_unref(&answer);
}

static void test_wait_all_needs_all(void **state)
{
    struct dns_answer *answers[3] = {dns_answer_new("a.example", DNS_A), NULL,
                                     dns_answer_new("b.example", DNS_A)};

    (void)state;
    dns_answer_complete(answers[0], dns_result_failure(DNS_FAILURE_SERVFAIL, 0), 0);
    assert_false(dns_answer_wait_all(answers, 3, dns_now() + 20 * MS));
    assert_true(dns_answer_wait_all(answers, 2, 0));
    dns_answer_complete(answers[2], dns_result_failure(DNS_FAILURE_SERVFAIL, 0), 0);
    assert_true(dns_answer_wait_all(answers, 3, 0));
    assert_true(dns_answer_wait_all(answers, 0, 0));
    dns_answer_unref(&answers[0]);
    dns_answer_unref(&answers[2]);
}

static void test_scripted_answer_is_ready_once_somebody_waited(void **state)
{
    struct dns_answer *answers[2] = {
        dns_answer_new_scripted("a.example", DNS_A, dns_result_failure(DNS_FAILURE_SERVFAIL, 0)),
        dns_answer_new_scripted("b.example", DNS_A, NULL)};
    int64_t begun = dns_now();

    (void)state;
    assert_false(dns_answer_is_ready(answers[0]));
    assert_true(dns_answer_wait(answers[0], begun + 10000 * MS));
    assert_int_equal(dns_answer_result(answers[0])->failure, DNS_FAILURE_SERVFAIL);
    assert_false(dns_answer_wait_all(answers, 2, begun + 10000 * MS));
    assert_int_equal(dns_answer_result(answers[1])->failure, DNS_FAILURE_TIMEOUT);
    assert_in_range(dns_now() - begun, 0, 5000 * MS);
    dns_answer_unref(&answers[0]);
    dns_answer_unref(&answers[1]);
    /* One that nobody waited for. */
    answers[0] = dns_answer_new_scripted("a.example", DNS_A,
                                         dns_result_failure(DNS_FAILURE_SERVFAIL, 0));
    dns_answer_unref(&answers[0]);
}

/* ---- many threads ---- */

static void *wait_for_all(void *arg)
{
    struct dns_answer **answers = arg;
    struct dns_answer *mine[ANSWERS];
    bool done = false;

    for (int i = 0; i < ANSWERS; i++) {
        mine[i] = dns_answer_ref(answers[i]);
    }
    /* Some of them give up on the way. */
    for (int64_t patience = MS / 4; !done; patience *= 2) {
        done = dns_answer_wait_all(mine, ANSWERS, dns_now() + patience);
    }
    for (int i = 0; i < ANSWERS; i++) {
        done = done && dns_answer_result(mine[i])->failure == DNS_FAILURE_SERVFAIL;
        dns_answer_unref(&mine[i]);
    }
    return done ? arg : NULL;
}

static void test_many_threads_wait_for_the_same_answers(void **state)
{
    struct dns_answer *answers[ANSWERS];
    pthread_t threads[WAITERS];

    (void)state;
    for (int i = 0; i < ANSWERS; i++) {
        answers[i] = dns_answer_new("a.example", DNS_A);
    }
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_all, answers), 0);
    }
    for (int i = 0; i < ANSWERS; i++) {
        const struct timespec pause = {.tv_nsec = MS / 5};

        (void)nanosleep(&pause, NULL);
        dns_answer_complete(answers[i], dns_result_failure(DNS_FAILURE_SERVFAIL, 0), 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        void *good = NULL;

        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
    for (int i = 0; i < ANSWERS; i++) {
        dns_answer_unref(&answers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_is_not_ready_until_it_is_complete),
        cmocka_unit_test(test_result_copies_records_and_texts),
        cmocka_unit_test(test_wait_ends_at_the_deadline),
        cmocka_unit_test(test_wait_all_needs_all),
        cmocka_unit_test(test_scripted_answer_is_ready_once_somebody_waited),
        cmocka_unit_test(test_many_threads_wait_for_the_same_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
