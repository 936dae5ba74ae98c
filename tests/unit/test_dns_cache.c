/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_cache.h"
#include "lib/dns/dns_health.h"
#include "lib/dns/dns_latency.h"
#include "lib/dns/dns_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1000

static int make_cache(void **state)
{
    struct dns_cache *cache = dns_cache_new(7);

    dns_cache_limit(cache, 100, 1000000);
    *state = cache;
    return 0;
}

static int free_cache(void **state)
{
    struct dns_cache *cache = *state;

    dns_cache_free(&cache);
    return 0;
}

/* Puts an answer into the cache. */
static void add(struct dns_cache *cache, const char *name, enum dns_type type, int64_t expires)
{
    struct dns_answer *answer = dns_answer_new(name, type);

    dns_cache_add(cache, answer);
    dns_answer_complete(answer, dns_result_failure(DNS_FAILURE_SERVFAIL, 0), 0);
    dns_cache_settle(cache, answer, NOW, expires);
    dns_answer_unref(&answer);
}

static void test_find_asks_for_name_and_type(void **state)
{
    add(*state, "a.example", DNS_A, NOW + 10);
    add(*state, "a.example", DNS_MX, NOW + 10);
    assert_non_null(dns_cache_find(*state, "a.example", DNS_A, NOW));
    assert_ptr_not_equal(dns_cache_find(*state, "a.example", DNS_A, NOW),
                         dns_cache_find(*state, "a.example", DNS_MX, NOW));
    assert_null(dns_cache_find(*state, "a.example", DNS_TXT, NOW));
    assert_null(dns_cache_find(*state, "b.example", DNS_A, NOW));
}

static void test_find_ends_with_the_ttl(void **state)
{
    add(*state, "a.example", DNS_A, NOW + 10);
    assert_non_null(dns_cache_find(*state, "a.example", DNS_A, NOW + 9));
    assert_null(dns_cache_find(*state, "a.example", DNS_A, NOW + 10));
    assert_int_equal(dns_cache_stats(*state).entries, 0);
    assert_int_equal(dns_cache_stats(*state).bytes, 0);
}

static void test_settle_without_ttl_keeps_nothing(void **state)
{
    add(*state, "a.example", DNS_A, NOW);
    assert_null(dns_cache_find(*state, "a.example", DNS_A, NOW));
    assert_int_equal(dns_cache_stats(*state).entries, 0);
}

static void test_question_in_flight_is_found_and_never_dropped(void **state)
{
    struct dns_answer *answer = dns_answer_new("a.example", DNS_A);

    dns_cache_add(*state, answer);
    dns_cache_limit(*state, 0, 0);
    assert_ptr_equal(dns_cache_find(*state, "a.example", DNS_A, INT64_MAX), answer);
    assert_int_equal(dns_cache_stats(*state).entries, 0);
    dns_answer_unref(&answer);
}

static void test_limit_drops_what_was_not_used_longest(void **state)
{
    dns_cache_limit(*state, 3, 1000000);
    add(*state, "a.example", DNS_A, NOW + 10);
    add(*state, "b.example", DNS_A, NOW + 10);
    add(*state, "c.example", DNS_A, NOW + 10);
    assert_non_null(dns_cache_find(*state, "a.example", DNS_A, NOW));
    add(*state, "d.example", DNS_A, NOW + 10);
    assert_null(dns_cache_find(*state, "b.example", DNS_A, NOW));
    assert_non_null(dns_cache_find(*state, "a.example", DNS_A, NOW));
    assert_non_null(dns_cache_find(*state, "d.example", DNS_A, NOW));
    assert_int_equal(dns_cache_stats(*state).entries, 3);
    assert_int_equal(dns_cache_stats(*state).evicted, 1);
}

static void test_limit_counts_bytes(void **state)
{
    add(*state, "a.example", DNS_A, NOW + 10);
    size_t one = dns_cache_stats(*state).bytes;

    assert_in_range(one, sizeof(struct dns_result), 1024);
    dns_cache_limit(*state, 100, 10 * one);
    for (int i = 0; i < 50; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "n%02d.examp", i);
        add(*state, name, DNS_A, NOW + 10);
    }
    assert_in_range(dns_cache_stats(*state).bytes, 5 * one, 10 * one);
}

static void test_many_entries_are_all_found(void **state)
{
    char name[32];

    dns_cache_limit(*state, 100000, SIZE_MAX);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        add(*state, name, DNS_A, NOW + 10);
    }
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        if (dns_cache_find(*state, name, DNS_A, NOW) == NULL) {
            fail_msg("%s", name);
        }
    }
    assert_int_equal(dns_cache_stats(*state).entries, 5000);
    dns_cache_limit(*state, 0, 0);
    assert_int_equal(dns_cache_stats(*state).entries, 0);
    assert_int_equal(dns_cache_stats(*state).bytes, 0);
}

/* ---- health ---- */

#define S DNS_HEALTH_PROBE_EVERY
#define PATIENCE (S / 2)

static void test_health_probes_who_says_nothing(void **state)
{
    struct dns_health health = {.silent = false};

    (void)state;
    assert_false(dns_health_wants_probe(&health, 10 * S, PATIENCE));
    dns_health_sent(&health, 10 * S);
    assert_false(dns_health_wants_probe(&health, 10 * S + PATIENCE - 1, PATIENCE));
    assert_true(dns_health_wants_probe(&health, 10 * S + PATIENCE, PATIENCE));
    dns_health_probe_sent(&health, 11 * S);
    assert_false(dns_health_wants_probe(&health, 12 * S, PATIENCE));
    assert_false(dns_health_tick(&health, 11 * S + PATIENCE - 1, PATIENCE));
    assert_false(health.silent);
    assert_true(dns_health_tick(&health, 11 * S + PATIENCE, PATIENCE));
    assert_true(health.silent);
}

static void test_health_probes_a_silent_server_each_second(void **state)
{
    struct dns_health health = {.silent = true, .probed_at = 10 * S};

    (void)state;
    assert_false(dns_health_wants_probe(&health, 11 * S - 1, PATIENCE));
    assert_true(dns_health_wants_probe(&health, 11 * S, PATIENCE));
    dns_health_probe_sent(&health, 11 * S);
    assert_false(dns_health_tick(&health, 12 * S, PATIENCE)); /* nothing new */
    assert_true(health.silent);
    assert_true(dns_health_answered(&health));
    assert_false(health.silent);
    assert_false(dns_health_answered(&health));
    assert_false(dns_health_wants_probe(&health, 20 * S, PATIENCE));
}

static void test_health_trusts_who_answers_anything(void **state)
{
    struct dns_health health = {.silent = false};

    (void)state;
    dns_health_sent(&health, 10 * S);
    dns_health_probe_sent(&health, 11 * S);
    assert_false(dns_health_answered(&health));
    assert_false(dns_health_tick(&health, 13 * S, PATIENCE));
    assert_false(health.silent);
}

/* ---- window ---- */

static unsigned take_all(struct dns_window *window, int64_t now)
{
    unsigned count = 0;

    while (count < 1000 && dns_window_take(window, now)) {
        count++;
    }
    return count;
}

static void test_window_opens_with_time_and_answers(void **state)
{
    struct dns_window window = {.room = 0};
    int64_t now = 100 * S;

    (void)state;
    assert_int_equal(take_all(&window, now), DNS_WINDOW);
    assert_int_equal(take_all(&window, now), 0);
    assert_int_equal(take_all(&window, now + 500000), DNS_WINDOW / 2);
    assert_int_equal(take_all(&window, now + 90 * S), DNS_WINDOW); /* never more at once */
    dns_window_give(&window);
    dns_window_give(&window);
    assert_int_equal(take_all(&window, now + 90 * S), 2);
}

/* ---- latency ---- */

static void test_latency_tells_mean_and_percentiles(void **state)
{
    struct dns_latency latency = {.count = 0};

    (void)state;
    assert_int_equal(dns_latency_mean(&latency), 0);
    assert_int_equal(dns_latency_percentile(&latency, 99), 0);
    for (int i = 0; i < 98; i++) {
        dns_latency_add(&latency, 1000);
    }
    dns_latency_add(&latency, 2000000);
    dns_latency_add(&latency, UINT64_C(1) << 40); /* beyond the last class */
    assert_int_equal(dns_latency_count(&latency), 100);
    assert_in_range(dns_latency_percentile(&latency, 50), 1000, 1250);
    assert_in_range(dns_latency_percentile(&latency, 98), 1000, 1250);
    assert_in_range(dns_latency_percentile(&latency, 99), 2000000, 2500000);
    assert_in_range(dns_latency_percentile(&latency, 100), 2500001, 60000000);
}

static void test_clear_forgets_what_is_in_flight_when_it_is_answered(void **state)
{
    struct dns_answer *answer = dns_answer_new("flying.example", DNS_A);

    add(*state, "a.example", DNS_A, NOW + 10);
    dns_cache_add(*state, answer);
    dns_cache_clear(*state);
    assert_int_equal(dns_cache_stats(*state).entries, 0);
    assert_int_equal(dns_cache_stats(*state).bytes, 0);
    assert_int_equal(dns_cache_stats(*state).evicted, 0);
    assert_null(dns_cache_find(*state, "a.example", DNS_A, NOW));
    assert_ptr_equal(dns_cache_find(*state, "flying.example", DNS_A, NOW), answer);
    dns_answer_complete(answer, dns_result_failure(DNS_FAILURE_SERVFAIL, 0), 0);
    dns_cache_settle(*state, answer, NOW, NOW + 10);
    assert_null(dns_cache_find(*state, "flying.example", DNS_A, NOW));
    dns_answer_unref(&answer);
    /* What comes later is kept. */
    add(*state, "a.example", DNS_A, NOW + 10);
    assert_non_null(dns_cache_find(*state, "a.example", DNS_A, NOW));
}

#define CACHE_TEST(function) cmocka_unit_test_setup_teardown(function, make_cache, free_cache)

static void test_how_long_answers_are_kept(void **state)
{
    static const struct {
        struct dns_result result;
        uint32_t seconds;
    } cases[] = {
        {{.status = DNS_FOUND, .ttl = 0}, 0},
        {{.status = DNS_FOUND, .ttl = 86399}, 86399},
        {{.status = DNS_FOUND, .ttl = 86401}, 86400},
        {{.status = DNS_FOUND, .ttl = UINT32_MAX}, 86400},
        {{.status = DNS_NXDOMAIN, .ttl = 3599}, 3599},
        {{.status = DNS_NXDOMAIN, .ttl = 3601}, 3600},
        {{.status = DNS_NXDOMAIN, .ttl = 86400}, 3600},
        {{.status = DNS_NODATA, .ttl = 60}, 60},
        {{.status = DNS_NODATA, .ttl = UINT32_MAX}, 3600},
        {{.status = DNS_TEMPFAIL, .failure = DNS_FAILURE_SERVFAIL, .ttl = 86400}, 5},
        {{.status = DNS_TEMPFAIL, .failure = DNS_FAILURE_TIMEOUT}, 5},
        {{.status = DNS_TEMPFAIL, .failure = DNS_FAILURE_DOWN, .ttl = 60}, 0},
        {{.status = DNS_TEMPFAIL, .failure = DNS_FAILURE_STOPPED}, 0},
        {{.status = DNS_TEMPFAIL, .failure = DNS_FAILURE_OVERLOAD}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(dns_result_lifetime(&cases[i].result), cases[i].seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_find_asks_for_name_and_type),
        CACHE_TEST(test_find_ends_with_the_ttl),
        CACHE_TEST(test_settle_without_ttl_keeps_nothing),
        CACHE_TEST(test_question_in_flight_is_found_and_never_dropped),
        CACHE_TEST(test_limit_drops_what_was_not_used_longest),
        CACHE_TEST(test_how_long_answers_are_kept),
        CACHE_TEST(test_limit_counts_bytes),
        CACHE_TEST(test_many_entries_are_all_found),
        CACHE_TEST(test_clear_forgets_what_is_in_flight_when_it_is_answered),
        cmocka_unit_test(test_health_probes_who_says_nothing),
        cmocka_unit_test(test_health_probes_a_silent_server_each_second),
        cmocka_unit_test(test_health_trusts_who_answers_anything),
        cmocka_unit_test(test_window_opens_with_time_and_answers),
        cmocka_unit_test(test_latency_tells_mean_and_percentiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
