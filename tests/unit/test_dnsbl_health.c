/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one probe after another says of a list, each with a resolver that remembers nothing and a server with a zone of its own. */
#include "lib/dns/dnsbl_health.h"
#include "tests/unit/dns_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

#define IPV6 ".0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test"
#define GOOD "2.0.0.127.bl.test A 127.0.0.2\n"
#define GOOD_IPV6 "2" IPV6 " A 127.0.0.2\n"
#define SILENT_IPV6 "2" IPV6 " SERVFAIL\n"

static struct dnsbl_health *health_new(bool silence_counts)
{
    const struct dnsbl_health_options options = {
        .zone = "bl.test",
        .addresses = true,
        .ipv6 = true,
        .listed = "test",
        .unlisted = "invalid",
        .probe = true,
        .silence_counts = silence_counts,
    };

    return dnsbl_health_new(&options);
}

/* A probe of which nothing can be asked if all places are taken by others. */
static enum dnsbl_health_state probe(struct dnsbl_health *health, const char *zone, bool busy)
{
    const struct resolver_options options = {
        .timeout_ms = 300, .tries = 1, .in_flight = busy ? 1 : 0};
    struct dns_kit *kit = dns_kit_start(zone);
    struct resolver *resolver = dns_kit_resolver(kit, &options);
    struct dns_answer *other = NULL;

    if (busy) {
        other = resolver_ask(resolver, "slow.test", DNS_A);
    }
    dnsbl_health_begin(health, resolver);
    dnsbl_health_wait(health, dns_now() + 2 * SECOND);
    assert_true(!busy || !dns_answer_is_ready(other));
    assert_true(dnsbl_health_is_answered(health));
    (void)dnsbl_health_finish(health);
    dns_answer_unref(&other);
    resolver_free(&resolver);
    dns_kit_stop(&kit);
    return dnsbl_health_state(health);
}

/* Half of its servers are gone, and the other half lists the world: it would refuse everybody where silent lists are asked. */
static void test_a_wrong_answer_outweighs_a_lost_one(void **state)
{
    struct dnsbl_health *health = health_new(true);

    (void)state;
    assert_int_equal(probe(health, "2.0.0.127.bl.test SERVFAIL\n* A 127.0.0.2\n", false),
                     DNSBL_HEALTH_LISTS_ALL);
    assert_int_equal(probe(health, GOOD "1.0.0.127.bl.test SERVFAIL\n", false),
                     DNSBL_HEALTH_SILENT);
    dnsbl_health_free(&health);
}

static void test_a_wrong_answer_outweighs_a_lost_one_about_ipv6(void **state)
{
    struct dnsbl_health *health = health_new(false);

    (void)state;
    assert_int_equal(probe(health, GOOD GOOD_IPV6, false), DNSBL_HEALTH_GOOD);
    assert_true(dnsbl_health_has_ipv6(health));
    assert_int_equal(probe(health, GOOD SILENT_IPV6 "1" IPV6 " A 127.0.0.2\n", false),
                     DNSBL_HEALTH_GOOD);
    assert_false(dnsbl_health_has_ipv6(health));
    dnsbl_health_free(&health);
}

/* IPv6 clients get 451 as others do while the list is silent, however long; a list without IPv6 costs them nothing. */
static void test_silence_counts_for_ipv6_clients(void **state)
{
    (void)state;
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct dnsbl_health *health = health_new(true);

        assert_int_equal(probe(health, ipv6 == 1 ? GOOD GOOD_IPV6 : GOOD, false),
                         DNSBL_HEALTH_GOOD);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(probe(health, "* SERVFAIL\n", false), DNSBL_HEALTH_SILENT);
            assert_int_equal(dnsbl_health_has_ipv6(health), ipv6 == 1);
        }
        dnsbl_health_free(&health);
    }
}

/* Where it does not count nobody is asked in vain. */
static void test_silence_ends_ipv6_where_it_does_not_count(void **state)
{
    struct dnsbl_health *health = health_new(false);

    (void)state;
    assert_int_equal(probe(health, GOOD GOOD_IPV6, false), DNSBL_HEALTH_GOOD);
    assert_int_equal(probe(health, "* SERVFAIL\n", false), DNSBL_HEALTH_SILENT);
    assert_false(dnsbl_health_has_ipv6(health));
    assert_int_equal(probe(health, GOOD GOOD_IPV6, false), DNSBL_HEALTH_GOOD);
    assert_true(dnsbl_health_has_ipv6(health));
    dnsbl_health_free(&health);
}

/* Whoever has more asked than may be under way must not switch lists off by it, nor on. */
static void test_a_probe_that_could_not_be_asked(void **state)
{
    struct dnsbl_health *health = health_new(false);

    (void)state;
    assert_int_equal(probe(health, GOOD GOOD_IPV6, false), DNSBL_HEALTH_GOOD);
    assert_false(dnsbl_health_is_unsure(health));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(probe(health, GOOD GOOD_IPV6 "slow.test SILENT\n", true),
                         DNSBL_HEALTH_GOOD);
        assert_true(dnsbl_health_has_ipv6(health));
        assert_true(dnsbl_health_is_unsure(health));
    }
    assert_int_equal(probe(health, "* A 127.0.0.2\n", false), DNSBL_HEALTH_LISTS_ALL);
    assert_int_equal(probe(health, GOOD "slow.test SILENT\n", true), DNSBL_HEALTH_LISTS_ALL);
    assert_int_equal(probe(health, GOOD GOOD_IPV6, false), DNSBL_HEALTH_GOOD);
    assert_false(dnsbl_health_is_unsure(health));
    dnsbl_health_free(&health);
}

/* Of a list about which nothing is known that is no reason to believe it. */
static void test_a_first_probe_that_could_not_be_asked(void **state)
{
    struct dnsbl_health *health = health_new(false);

    (void)state;
    assert_int_equal(probe(health, GOOD "slow.test SILENT\n", true), DNSBL_HEALTH_SILENT);
    dnsbl_health_free(&health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wrong_answer_outweighs_a_lost_one),
        cmocka_unit_test(test_a_wrong_answer_outweighs_a_lost_one_about_ipv6),
        cmocka_unit_test(test_silence_counts_for_ipv6_clients),
        cmocka_unit_test(test_silence_ends_ipv6_where_it_does_not_count),
        cmocka_unit_test(test_a_probe_that_could_not_be_asked),
        cmocka_unit_test(test_a_first_probe_that_could_not_be_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
