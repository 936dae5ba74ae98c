/* SPDX-License-Identifier: GPL-3.0-or-later */
/* With servers on loopback that are silent, refuse, or are not there. */
#include "lib/dns/resolver.h"
#include "tests/unit/dns_kit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define PATIENCE (20000 * MS)
#define TIMEOUT_MS 2000
#define AT_ONCE (TIMEOUT_MS / 4 - 1) /* without one look at a server that is silent */
#define SESSIONS 100

/* A resolver that asks these, of which the second may be NULL. */
static struct resolver *make_resolver(const struct dns_kit *first, const struct dns_kit *second)
{
    struct dns_server servers[2] = {dns_kit_server(first)};
    struct resolver_options options = {
        .servers = servers, .server_count = 1, .timeout_ms = TIMEOUT_MS};
    struct strbuf why;

    if (second != NULL) {
        servers[1] = dns_kit_server(second);
        options.server_count = 2;
    }
    strbuf_init(&why);
    struct resolver *resolver = resolver_new(&options, NULL, &why);

    assert_non_null(resolver);
    strbuf_fini(&why);
    return resolver;
}

/* What is said of a name, waiting for it; how long that took goes to *ms. */
static struct dns_result ask(struct resolver *resolver, const char *name, int64_t *ms)
{
    int64_t begun = dns_now();
    struct dns_answer *answer = resolver_ask(resolver, name, DNS_A);

    assert_true(dns_answer_wait(answer, dns_now() + PATIENCE));
    struct dns_result result = *dns_answer_result(answer);

    *ms = (dns_now() - begun) / MS;
    dns_answer_unref(&answer);
    return result;
}

static struct resolver_stats stats_of(struct resolver *resolver)
{
    struct resolver_stats stats;

    resolver_stats(resolver, &stats);
    return stats;
}

static void sleep_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static void test_server_that_fails_for_a_name(void **state)
{
    struct dns_kit *kit = dns_kit_start("fail.example SERVFAIL\n"
                                        "no.example REFUSED\n"
                                        "junk.example GARBAGE\n"
                                        "junk.example A 192.0.2.1\n"
                                        "old.example FORMERR\n"
                                        "old.example A 192.0.2.1\n");
    struct resolver *resolver = make_resolver(kit, NULL);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "fail.example", &ms).failure, DNS_FAILURE_SERVFAIL);
    assert_int_equal(ask(resolver, "no.example", &ms).failure, DNS_FAILURE_REFUSED);
    assert_int_equal(ask(resolver, "junk.example", &ms).failure, DNS_FAILURE_MALFORMED);
    unsigned before = dns_kit_questions(kit);

    /* It fails for some seconds without being asked. */
    assert_int_equal(ask(resolver, "fail.example", &ms).failure, DNS_FAILURE_SERVFAIL);
    assert_int_equal(dns_kit_questions(kit), before);
    /* It does not know EDNS, and is asked without. */
    assert_int_equal(ask(resolver, "old.example", &ms).status, DNS_FOUND);
    assert_int_equal(stats_of(resolver).tempfails, 3);
    assert_int_equal(stats_of(resolver).timeouts, 0);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

static void test_next_server_is_asked_if_one_fails(void **state)
{
    struct dns_kit *bad = dns_kit_start("* SERVFAIL\n");
    struct dns_kit *good = dns_kit_start("* A 192.0.2.1\n");
    struct resolver *resolver = make_resolver(bad, good);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    assert_in_range(ms, 0, AT_ONCE);
    assert_int_equal(dns_kit_questions(bad), 1);
    assert_int_equal(dns_kit_questions(good), 1);
    resolver_free(&resolver);
    dns_kit_stop(&bad);
    dns_kit_stop(&good);
}

static void test_silent_server_is_left_out(void **state)
{
    struct dns_kit *dead = dns_kit_start("* A 192.0.2.1\n");
    struct dns_kit *good = dns_kit_start("* A 192.0.2.2\n");
    struct resolver *resolver = make_resolver(dead, good);
    int64_t ms;

    (void)state;
    dns_kit_silence(dead, true);
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    assert_in_range(ms, TIMEOUT_MS / 4 - 5, TIMEOUT_MS);
    for (int i = 0; i < 2000 && !stats_of(resolver).silent[0]; i++) {
        sleep_ms(10);
    }
    assert_true(stats_of(resolver).silent[0]);
    assert_false(stats_of(resolver).down);
    unsigned before = dns_kit_questions(dead);

    assert_int_equal(ask(resolver, "b.example", &ms).status, DNS_FOUND);
    assert_in_range(ms, 0, AT_ONCE);
    assert_int_equal(dns_kit_questions(dead), before);
    /* It is taken back when it answers a probe. */
    dns_kit_silence(dead, false);
    for (int i = 0; i < 2000 && stats_of(resolver).silent[0]; i++) {
        sleep_ms(10);
    }
    assert_int_equal(ask(resolver, "c.example", &ms).status, DNS_FOUND);
    assert_int_equal(dns_kit_questions(dead), before + 1);
    resolver_free(&resolver);
    dns_kit_stop(&dead);
    dns_kit_stop(&good);
}

static void test_dead_server_costs_the_timeout_once(void **state)
{
    struct dns_kit *kit = dns_kit_start("* A 192.0.2.1\n");
    struct resolver *resolver = make_resolver(kit, NULL);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "known.example", &ms).status, DNS_FOUND);
    dns_kit_silence(kit, true);
    struct dns_result result = ask(resolver, "a.example", &ms);

    assert_int_equal(result.status, DNS_TEMPFAIL);
    assert_in_range(ms, TIMEOUT_MS / 2, 2 * TIMEOUT_MS);
    assert_true(stats_of(resolver).down);
    /* From now on nobody waits. */
    assert_int_equal(ask(resolver, "b.example", &ms).failure, DNS_FAILURE_DOWN);
    assert_in_range(ms, 0, AT_ONCE);
    assert_int_equal(ask(resolver, "known.example", &ms).status, DNS_FOUND);
    assert_int_equal(stats_of(resolver).refused_down, 1);
    assert_int_equal(stats_of(resolver).downs, 1);
    /* And it is noticed that the server is back. */
    dns_kit_silence(kit, false);
    for (int i = 0; i < 2000 && stats_of(resolver).down; i++) {
        sleep_ms(10);
    }
    assert_int_equal(ask(resolver, "b.example", &ms).status, DNS_FOUND);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

static void test_name_that_nobody_answers_does_not_condemn_the_server(void **state)
{
    struct dns_kit *kit = dns_kit_start("silent.example SILENT\n* A 192.0.2.1\n");
    struct resolver *resolver = make_resolver(kit, NULL);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "silent.example", &ms).failure, DNS_FAILURE_TIMEOUT);
    assert_in_range(ms, TIMEOUT_MS, 3 * TIMEOUT_MS);
    assert_false(stats_of(resolver).down);
    assert_in_range(dns_kit_probes(kit), 1, 3);
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    assert_int_equal(stats_of(resolver).timeouts, 1);
    /* That it failed is known for some seconds. */
    assert_int_equal(ask(resolver, "silent.example", &ms).failure, DNS_FAILURE_TIMEOUT);
    assert_in_range(ms, 0, AT_ONCE);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

static void test_nobody_listens(void **state)
{
    struct dns_kit *kit = dns_kit_start("");
    struct resolver *resolver = make_resolver(kit, NULL);
    int64_t ms;

    (void)state;
    dns_kit_stop(&kit);
    assert_int_equal(ask(resolver, "a.example", &ms).failure, DNS_FAILURE_UNREACHABLE);
    assert_in_range(ms, 0, TIMEOUT_MS);
    resolver_free(&resolver);
}

/* ---- sessions ---- */

struct session {
    struct resolver *resolver;
    unsigned number;
    int64_t took_ms;
};

/* Five questions, awaited together with one deadline. */
static void *run_session(void *arg)
{
    struct session *session = arg;
    struct dns_answer *answers[5];
    int64_t begun = dns_now();

    for (int i = 0; i < 5; i++) {
        char name[40];

        (void)snprintf(name, sizeof(name), "s%u.list%d.example", session->number, i);
        answers[i] = resolver_ask(session->resolver, name, DNS_A);
    }
    (void)dns_answer_wait_all(answers, 5, begun + TIMEOUT_MS * MS);
    session->took_ms = (dns_now() - begun) / MS;
    for (int i = 0; i < 5; i++) {
        dns_answer_unref(&answers[i]);
    }
    return NULL;
}

static void test_sessions_with_a_dead_server_wait_once(void **state)
{
    struct dns_kit *kit = dns_kit_start("* A 192.0.2.1\n");
    struct resolver *resolver = make_resolver(kit, NULL);
    struct session sessions[SESSIONS];
    pthread_t threads[SESSIONS];

    (void)state;
    dns_kit_silence(kit, true);
    for (int wave = 0; wave < 2; wave++) {
        for (unsigned i = 0; i < SESSIONS; i++) {
            sessions[i] = (struct session){.resolver = resolver, .number = i};
            assert_int_equal(pthread_create(&threads[i], NULL, run_session, &sessions[i]), 0);
        }
        for (unsigned i = 0; i < SESSIONS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_in_range(sessions[i].took_ms, 0, wave == 0 ? 2 * TIMEOUT_MS - 1 : AT_ONCE);
        }
    }
    struct resolver_stats stats = stats_of(resolver);

    assert_int_equal(stats.questions, 2 * 5 * SESSIONS);
    assert_int_equal(stats.asked + stats.refused_down + stats.cache_hits + stats.shared,
                     stats.questions);
    assert_in_range(stats.asked, 5, 5 * SESSIONS);
    for (int i = 0; i < 2000 && stats_of(resolver).in_flight > 0; i++) {
        sleep_ms(10);
    }
    assert_int_equal(stats_of(resolver).in_flight, 0);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

static void test_too_many_questions_fail_at_once(void **state)
{
    struct dns_kit *kit = dns_kit_start("* SILENT\n");
    const struct resolver_options options = {.timeout_ms = TIMEOUT_MS, .in_flight = 10};
    struct resolver *resolver = dns_kit_resolver(kit, &options);
    struct dns_answer *answers[15];

    (void)state;
    for (int i = 0; i < 15; i++) {
        char name[40];

        (void)snprintf(name, sizeof(name), "n%d.example", i);
        answers[i] = resolver_ask(resolver, name, DNS_A);
        assert_int_equal(dns_answer_is_ready(answers[i]), i >= 10);
    }
    assert_int_equal(dns_answer_result(answers[14])->failure, DNS_FAILURE_OVERLOAD);
    assert_int_equal(stats_of(resolver).overload, 5);
    assert_int_equal(stats_of(resolver).in_flight, 10);
    /* Answers outlive the resolver, and what was in flight is over. */
    resolver_free(&resolver);
    for (int i = 0; i < 15; i++) {
        assert_true(dns_answer_is_ready(answers[i]));
        assert_int_equal(dns_answer_result(answers[i])->status, DNS_TEMPFAIL);
        dns_answer_unref(&answers[i]);
    }
    dns_kit_stop(&kit);
}

/* The room is made by the resolver's thread, which may be late. */
static void await_room(struct resolver *resolver)
{
    int64_t until = dns_now() + PATIENCE;

    while (stats_of(resolver).in_flight > 31 && dns_now() < until) {
        sleep_ms(1);
    }
    assert_in_range(stats_of(resolver).in_flight, 1, 31);
}

static void test_questions_that_nobody_waits_for_make_room(void **state)
{
    struct dns_kit *kit = dns_kit_start("* SILENT\na.example A 192.0.2.1\n");
    const struct resolver_options options = {.timeout_ms = 5000, .in_flight = 40};
    struct resolver *resolver = dns_kit_resolver(kit, &options);
    struct dns_answer *held;
    int64_t ms;

    (void)state;
    held = resolver_ask(resolver, "held.example", DNS_A);
    for (int i = 0; i < 200; i++) {
        char name[40];

        (void)snprintf(name, sizeof(name), "n%d.example", i);
        struct dns_answer *answer = resolver_ask(resolver, name, DNS_A);

        dns_answer_unref(&answer);
        await_room(resolver);
    }
    assert_int_equal(stats_of(resolver).overload, 0);
    assert_false(dns_answer_is_ready(held));
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    dns_answer_unref(&held);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

static void test_stop_keeps_what_is_cached(void **state)
{
    struct dns_kit *kit = dns_kit_start("* A 192.0.2.1\nsilent.example SILENT\n");
    struct resolver *resolver = make_resolver(kit, NULL);
    struct dns_answer *open = resolver_ask(resolver, "silent.example", DNS_A);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    resolver_stop(resolver);
    assert_int_equal(dns_answer_result(open)->failure, DNS_FAILURE_STOPPED);
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    assert_int_equal(ask(resolver, "b.example", &ms).failure, DNS_FAILURE_STOPPED);
    resolver_stop(resolver);
    dns_answer_unref(&open);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

static void test_configure_changes_servers(void **state)
{
    struct dns_kit *old = dns_kit_start(
        "slow.example DELAY 300\nslow.example A 192.0.2.1\n* A 192.0.2.1\n");
    struct dns_kit *new = dns_kit_start("* MANY 3\n");
    struct resolver *resolver = make_resolver(old, NULL);
    struct dns_server server = dns_kit_server(new);
    struct dns_server many[RESOLVER_SERVERS_MAX + 1];
    struct resolver_options options = {
        .servers = &server, .server_count = 1, .timeout_ms = TIMEOUT_MS};
    struct strbuf why;
    int64_t ms;

    (void)state;
    strbuf_init(&why);
    assert_int_equal(ask(resolver, "a.example", &ms).count, 1);
    struct dns_answer *open = resolver_ask(resolver, "slow.example", DNS_A);

    for (int i = 0; i < 2000 && dns_kit_questions(old) < 2; i++) {
        sleep_ms(10);
    }
    assert_int_equal(resolver_configure(resolver, &options, &why), STATUS_OK);
    assert_int_equal(ask(resolver, "b.example", &ms).count, 3);
    /* What was asked of the old one is answered by it. */
    assert_true(dns_answer_wait(open, dns_now() + PATIENCE));
    assert_int_equal(dns_answer_result(open)->count, 1);
    dns_answer_unref(&open);
    assert_int_equal(stats_of(resolver).servers[0].port, dns_kit_server(new).port);
    for (size_t i = 0; i <= RESOLVER_SERVERS_MAX; i++) {
        many[i] = server;
    }
    options = (struct resolver_options){.servers = many, .server_count = RESOLVER_SERVERS_MAX + 1};
    assert_int_equal(resolver_configure(resolver, &options, &why), STATUS_INVALID);
    assert_non_null(strstr(why.data, "9 DNS servers"));
    assert_int_equal(ask(resolver, "c.example", &ms).count, 3);
    resolver_free(&resolver);
    dns_kit_stop(&old);
    dns_kit_stop(&new);
    strbuf_fini(&why);
}

/* That the server was fast before does not shorten the time that it has (c-ares since 1.32 reckons so). */
static void test_slow_answer_after_fast_ones_still_counts(void **state)
{
    const struct resolver_options options = {.timeout_ms = TIMEOUT_MS, .tries = 1};
    struct dns_kit *kit = dns_kit_start("slow.example DELAY 400\nslow.example A 192.0.2.1\n"
                                        "* A 192.0.2.1\n");
    struct resolver *resolver = dns_kit_resolver(kit, &options);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "a.example", &ms).status, DNS_FOUND);
    assert_int_equal(ask(resolver, "b.example", &ms).status, DNS_FOUND);
    assert_int_equal(ask(resolver, "c.example", &ms).status, DNS_FOUND);
    assert_int_equal(ask(resolver, "d.example", &ms).status, DNS_FOUND);
    assert_int_equal(ask(resolver, "slow.example", &ms).status, DNS_FOUND);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
}

/* What one server said counts no more when another is asked; who reloads for other reasons loses nothing. */
static void test_other_servers_make_the_cache_forget(void **state)
{
    const struct resolver_options options = {.timeout_ms = TIMEOUT_MS, .tries = 1};
    struct dns_kit *old = dns_kit_start(
        "a.example 3600 A 192.0.2.1\nslow.example DELAY 100\nslow.example 3600 A 192.0.2.1\n");
    struct dns_kit *new = dns_kit_start("* MANY 3\n");
    struct resolver *resolver = dns_kit_resolver(old, &options);
    int64_t ms;

    (void)state;
    assert_int_equal(ask(resolver, "a.example", &ms).count, 1);
    dns_kit_take_over(old, resolver, &options);
    assert_int_equal(ask(resolver, "a.example", &ms).count, 1);
    assert_int_equal(stats_of(resolver).cache_hits, 1);
    struct dns_answer *open = resolver_ask(resolver, "slow.example", DNS_A);

    sleep_ms(20);
    dns_kit_take_over(new, resolver, &options);
    assert_int_equal(ask(resolver, "a.example", &ms).count, 3);
    assert_true(dns_answer_wait(open, dns_now() + PATIENCE));
    dns_answer_unref(&open);
    sleep_ms(20);
    assert_int_equal(ask(resolver, "slow.example", &ms).count, 3);
    resolver_free(&resolver);
    dns_kit_stop(&old);
    dns_kit_stop(&new);
}

static void test_system_servers_are_there(void **state)
{
    struct resolver_options options = {.server_count = 0};
    struct strbuf why;

    (void)state;
    strbuf_init(&why);
    struct resolver *resolver = resolver_new(&options, NULL, &why);

    assert_non_null(resolver);
    assert_in_range(stats_of(resolver).server_count, 1, RESOLVER_SERVERS_MAX);
    assert_int_not_equal(stats_of(resolver).servers[0].addr.family, NETADDR_NONE);
    resolver_free(&resolver);
    strbuf_fini(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_that_fails_for_a_name),
        cmocka_unit_test(test_next_server_is_asked_if_one_fails),
        cmocka_unit_test(test_silent_server_is_left_out),
        cmocka_unit_test(test_dead_server_costs_the_timeout_once),
        cmocka_unit_test(test_name_that_nobody_answers_does_not_condemn_the_server),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_sessions_with_a_dead_server_wait_once),
        cmocka_unit_test(test_too_many_questions_fail_at_once),
        cmocka_unit_test(test_questions_that_nobody_waits_for_make_room),
        cmocka_unit_test(test_stop_keeps_what_is_cached),
        cmocka_unit_test(test_configure_changes_servers),
        cmocka_unit_test(test_slow_answer_after_fast_ones_still_counts),
        cmocka_unit_test(test_other_servers_make_the_cache_forget),
        cmocka_unit_test(test_system_servers_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
