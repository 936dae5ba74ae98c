/* SPDX-License-Identifier: GPL-3.0-or-later */
/* With a real server on loopback that is well. */
#include "lib/dns/resolver.h"
#include "tests/unit/dns_kit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define PATIENCE (20000 * MS)
#define THREADS 8
#define QUESTIONS 300

static const char zone[] = "a.example A 192.0.2.1\n"
                           "a.example MX 10 mx.example\n"
                           "short.example 1 A 192.0.2.2\n"
                           "zero.example 0 A 192.0.2.3\n"
                           "nosoa.example NOSOA\n"
                           "slow.example DELAY 150\n"
                           "slow.example A 192.0.2.4\n"
                           "slower.example DELAY 1300\n"
                           "slower.example A 192.0.2.5\n"
                           "alias.example CNAME a.example\n"
                           "loop.example CNAME loop.example\n"
                           "many.example MANY 400\n"
                           "wide.example MANY 200\n"
                           "wide.example OVERSIZE\n"
                           "xn--bcher-kva.example A 192.0.2.6\n"
                           "* A 10.0.0.1\n";

struct scene {
    struct dns_kit *kit;
    struct resolver *resolver;
};

static const struct resolver_options usual = {.timeout_ms = 1000};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    scene->kit = dns_kit_start(zone);
    scene->resolver = dns_kit_resolver(scene->kit, &usual);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    resolver_free(&scene->resolver);
    dns_kit_stop(&scene->kit);
    free(scene);
    return 0;
}

static struct dns_answer *ask(const struct scene *scene, const char *name, enum dns_type type)
{
    struct dns_answer *answer = resolver_ask(scene->resolver, name, type);

    assert_true(dns_answer_wait(answer, dns_now() + PATIENCE));
    return answer;
}

/* Asks, and forgets the answer. */
static enum dns_status status_of(const struct scene *scene, const char *name, enum dns_type type)
{
    struct dns_answer *answer = ask(scene, name, type);
    enum dns_status status = dns_answer_result(answer)->status;

    dns_answer_unref(&answer);
    return status;
}

static struct resolver_stats stats_of(const struct scene *scene)
{
    struct resolver_stats stats;

    resolver_stats(scene->resolver, &stats);
    return stats;
}

static void sleep_ms(unsigned ms)
{
    struct dns_answer *never = dns_answer_new("never.example", DNS_A);

    (void)dns_answer_wait(never, dns_now() + ms * MS);
    dns_answer_unref(&never);
}

static void test_ask_tells_what_the_server_says(void **state)
{
    struct dns_answer *answer = ask(*state, "A.Example.", DNS_A);
    char text[NETADDR_TEXT_SIZE];

    assert_string_equal(dns_answer_name(answer), "a.example");
    assert_int_equal(dns_answer_result(answer)->status, DNS_FOUND);
    assert_string_equal(netaddr_format(&dns_answer_result(answer)->records[0].addr, text),
                        "192.0.2.1");
    assert_in_range(dns_answer_latency_us(answer), 1, 10000000);
    dns_answer_unref(&answer);
    answer = ask(*state, "alias.example", DNS_MX);
    assert_string_equal(dns_answer_result(answer)->name, "a.example");
    assert_string_equal(dns_answer_result(answer)->records[0].text, "mx.example");
    dns_answer_unref(&answer);
    assert_int_equal(status_of(*state, "a.example", DNS_AAAA), DNS_NODATA);
    assert_int_equal(status_of(*state, "loop.example", DNS_A), DNS_TEMPFAIL);
    assert_int_equal(status_of(*state,
                               "b\xc3\xbc"
                               "cher.example",
                               DNS_A),
                     DNS_FOUND);
}

static void test_ask_answers_at_once_what_is_no_name(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answer = resolver_ask(scene->resolver, "no name.example", DNS_A);

    assert_true(dns_answer_is_ready(answer));
    assert_int_equal(dns_answer_result(answer)->status, DNS_NXDOMAIN);
    assert_int_equal(dns_kit_questions(scene->kit), 0);
    dns_answer_unref(&answer);
}

static void test_ask_again_is_answered_from_the_cache(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(status_of(scene, "a.example", DNS_A), DNS_FOUND);
    assert_int_equal(status_of(scene, "a.example", DNS_TXT), DNS_NODATA);
    struct dns_answer *again = resolver_ask(scene->resolver, "a.EXAMPLE", DNS_A);

    assert_true(dns_answer_is_ready(again));
    dns_answer_unref(&again);
    assert_int_equal(status_of(scene, "a.example", DNS_TXT), DNS_NODATA);
    assert_int_equal(dns_kit_questions(scene->kit), 2);
    assert_int_equal(stats_of(scene).cache_hits, 2);
    assert_int_equal(stats_of(scene).cache_entries, 2);
}

static void test_cache_ends_with_the_ttl(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(status_of(scene, "short.example", DNS_A), DNS_FOUND);
    assert_int_equal(status_of(scene, "short.example", DNS_A), DNS_FOUND);
    assert_int_equal(dns_kit_questions(scene->kit), 1);
    sleep_ms(1050);
    assert_int_equal(status_of(scene, "short.example", DNS_A), DNS_FOUND);
    assert_int_equal(dns_kit_questions(scene->kit), 2);
}

static void test_cache_keeps_nothing_without_ttl(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(status_of(scene, "zero.example", DNS_A), DNS_FOUND);
    assert_int_equal(status_of(scene, "zero.example", DNS_A), DNS_FOUND);
    assert_int_equal(status_of(scene, "nosoa.example", DNS_A), DNS_NODATA);
    assert_int_equal(status_of(scene, "nosoa.example", DNS_A), DNS_NODATA);
    assert_int_equal(dns_kit_questions(scene->kit), 4);
    assert_int_equal(stats_of(scene).cache_entries, 0);
}

static void test_equal_questions_in_flight_are_one(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answers[10];

    for (int i = 0; i < 10; i++) {
        answers[i] = resolver_ask(scene->resolver, "slow.example", DNS_A);
        assert_false(dns_answer_is_ready(answers[i]));
    }
    assert_true(dns_answer_wait_all(answers, 10, dns_now() + PATIENCE));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(dns_answer_result(answers[i])->status, DNS_FOUND);
        dns_answer_unref(&answers[i]);
    }
    assert_int_equal(dns_kit_questions(scene->kit), 1);
    assert_int_equal(stats_of(scene).shared, 9);
    assert_int_equal(stats_of(scene).asked, 1);
    assert_int_equal(stats_of(scene).in_flight, 0);
}

static void test_answer_that_nobody_waits_for_fills_the_cache(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answer = resolver_ask(scene->resolver, "slow.example", DNS_A);

    assert_false(dns_answer_wait(answer, dns_now() + 20 * MS));
    dns_answer_unref(&answer);
    int64_t until = dns_now() + PATIENCE;

    while (stats_of(scene).in_flight > 0 && dns_now() < until) {
        sleep_ms(10);
    }
    answer = resolver_ask(scene->resolver, "slow.example", DNS_A);
    assert_true(dns_answer_is_ready(answer));
    assert_int_equal(dns_answer_result(answer)->status, DNS_FOUND);
    dns_answer_unref(&answer);
}

static void test_answer_that_comes_after_the_timeout_still_counts(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answer = resolver_ask(scene->resolver, "slower.example", DNS_A);

    assert_false(dns_answer_wait(answer, dns_now() + 1000 * MS));
    assert_true(dns_answer_wait(answer, dns_now() + PATIENCE));
    assert_int_equal(dns_answer_result(answer)->status, DNS_FOUND);
    /* It was the answer to the first message; the second one was sent in vain. */
    assert_int_equal(dns_kit_questions(scene->kit), 2);
    dns_answer_unref(&answer);
}

static void test_large_answer_comes_over_tcp(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answer = ask(scene, "many.example", DNS_MX);

    assert_int_equal(dns_answer_result(answer)->count, DNS_RECORDS_MAX);
    assert_int_equal(dns_answer_result(answer)->records[0].preference, 1);
    assert_true(dns_answer_result(answer)->cut);
    assert_int_equal(dns_kit_tcp_questions(scene->kit), 1);
    dns_answer_unref(&answer);
}

/* A datagram that is longer than was asked for is not trusted. */
static void test_answer_too_large_for_udp_comes_over_tcp(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answer = ask(scene, "wide.example", DNS_MX);

    assert_int_equal(dns_answer_result(answer)->count, DNS_RECORDS_MAX);
    assert_int_equal(dns_answer_result(answer)->records[0].preference, 1);
    assert_int_equal(dns_kit_tcp_questions(scene->kit), 1);
    dns_answer_unref(&answer);
}

/* The server ends each connection after one answer, which must not harm others. */
static void test_many_large_answers_at_once(void **state)
{
    struct scene *scene = *state;
    struct dns_answer *answers[3 * 20];
    char name[40];

    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        answers[3 * i] = resolver_ask(scene->resolver, "many.example", DNS_A);
        answers[3 * i + 1] = resolver_ask(scene->resolver, name, DNS_A);
        answers[3 * i + 2] = resolver_ask(scene->resolver, "many.example", DNS_MX);
    }
    assert_true(dns_answer_wait_all(answers, 60, dns_now() + PATIENCE));
    for (int i = 0; i < 60; i++) {
        assert_int_equal(dns_answer_result(answers[i])->status, DNS_FOUND);
        dns_answer_unref(&answers[i]);
    }
}

/* ---- many threads ---- */

struct asker {
    struct resolver *resolver;
    unsigned number;
    unsigned good;
};

static void *ask_many(void *arg)
{
    struct asker *asker = arg;

    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct dns_answer *answers[2];
        char name[40];

        /* Half of the names are asked by all threads. */
        (void)snprintf(name, sizeof(name), "n%u.t%u.example", i / 2, i % 2 * asker->number);
        answers[0] = resolver_ask(asker->resolver, name, DNS_A);
        answers[1] = resolver_ask(asker->resolver, name, DNS_AAAA);
        if (dns_answer_wait_all(answers, 2, dns_now() + PATIENCE) &&
            dns_answer_result(answers[0])->status == DNS_FOUND &&
            dns_answer_result(answers[1])->status == DNS_NODATA) {
            asker->good++;
        }
        dns_answer_unref(&answers[0]);
        dns_answer_unref(&answers[1]);
    }
    return NULL;
}

static void test_many_threads_ask(void **state)
{
    struct scene *scene = *state;
    struct asker askers[THREADS];
    pthread_t threads[THREADS];
    struct resolver_stats stats;

    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){scene->resolver, i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, &askers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(askers[i].good, QUESTIONS);
    }
    stats = stats_of(scene);
    assert_int_equal(stats.questions, 2 * THREADS * QUESTIONS);
    assert_int_equal(stats.asked + stats.shared + stats.cache_hits, stats.questions);
    assert_int_equal(stats.asked, QUESTIONS + THREADS * QUESTIONS);
    assert_int_equal(stats.found + stats.nodata, stats.asked);
    assert_int_equal(stats.in_flight, 0);
    assert_in_range(stats.latency_mean_us, 1, 1000000);
    assert_in_range(stats.latency_p99_us, stats.latency_mean_us / 2, 20000000);
}

static void test_cache_is_bounded(void **state)
{
    struct scene *scene = *state;
    struct resolver_options options = usual;

    options.cache_entries = 50;
    dns_kit_take_over(scene->kit, scene->resolver, &options);
    for (int i = 0; i < 200; i++) {
        char name[40];

        (void)snprintf(name, sizeof(name), "n%d.example", i);
        assert_int_equal(status_of(scene, name, DNS_A), DNS_FOUND);
    }
    assert_int_equal(stats_of(scene).cache_entries, 50);
    assert_int_equal(stats_of(scene).cache_evicted, 150);
    assert_in_range(stats_of(scene).cache_bytes, 1000, 50 * 1024);
}

static void test_server_may_have_an_ipv6_address(void **state)
{
    struct scene *scene = *state;
    struct dns_kit *kit = dns_kit_start_ipv6("* A 192.0.2.66\n* MANY 400\n");

    if (kit == NULL) {
        skip();
    }
    dns_kit_take_over(kit, scene->resolver, &usual);
    assert_int_equal(status_of(scene, "six.example", DNS_A), DNS_FOUND);
    assert_int_equal(dns_kit_tcp_questions(kit), 1);
    assert_int_equal(dns_kit_questions(scene->kit), 0);
    dns_kit_stop(&kit);
}

static struct dns_result *answer_by_script(void *ctx, const char *name, enum dns_type type)
{
    assert_int_equal(type, DNS_MX);
    (void)snprintf(ctx, 64, "%s", name);
    return strcmp(name, "silent.example") == 0 ? NULL : dns_result_failure(DNS_FAILURE_SERVFAIL, 0);
}

static void test_scripted_resolver_needs_no_server(void **state)
{
    char asked[64] = "";
    struct resolver *resolver = resolver_new_scripted(answer_by_script, asked);
    struct dns_answer *answer = resolver_ask(resolver, "A.example", DNS_MX);

    (void)state;
    assert_string_equal(asked, "a.example");
    assert_false(dns_answer_is_ready(answer));
    assert_true(dns_answer_wait(answer, dns_now() + PATIENCE));
    assert_int_equal(dns_answer_result(answer)->failure, DNS_FAILURE_SERVFAIL);
    dns_answer_unref(&answer);
    answer = resolver_ask(resolver, "silent.example", DNS_MX);
    assert_false(dns_answer_wait(answer, dns_now() + PATIENCE));
    dns_answer_unref(&answer);
    resolver_free(&resolver);
    resolver_free(&resolver);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ask_tells_what_the_server_says),
        TEST(test_ask_answers_at_once_what_is_no_name),
        TEST(test_ask_again_is_answered_from_the_cache),
        TEST(test_cache_ends_with_the_ttl),
        TEST(test_cache_keeps_nothing_without_ttl),
        TEST(test_equal_questions_in_flight_are_one),
        TEST(test_answer_that_nobody_waits_for_fills_the_cache),
        TEST(test_answer_that_comes_after_the_timeout_still_counts),
        TEST(test_large_answer_comes_over_tcp),
        TEST(test_answer_too_large_for_udp_comes_over_tcp),
        TEST(test_many_large_answers_at_once),
        TEST(test_many_threads_ask),
        TEST(test_cache_is_bounded),
        TEST(test_server_may_have_an_ipv6_address),
        cmocka_unit_test(test_scripted_resolver_needs_no_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
