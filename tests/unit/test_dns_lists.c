/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lists in use: probes that suspend them and let them come back, what is logged, and what a reload keeps. With a real resolver
 * and a server whose zone changes.
 */
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_options.h"
#include "tests/unit/dns_kit.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define PATIENCE (20 * SECOND)

/* "2.0.0.127.bl.test" and so on with no time in the cache. */
#define GOOD "2.0.0.127.bl.test 0 A 127.0.0.2\n"

static const struct resolver_options options = {.timeout_ms = 1000, .tries = 1};

struct fixture {
    struct site site;
    struct ruleset *ruleset;
    struct dns_kit *kit;
    struct resolver *resolver;
    struct dns_lists *lists;
    struct dns_list *list; /* the first one */
    struct logger *logger;
};

/* Lists of `conf`, and a server that knows `zone`. */
static void begin(struct fixture *fixture, const char *conf, const char *zone)
{
    memset(fixture, 0, sizeof(*fixture));
    site_init(&fixture->site);
    fixture->ruleset = site_ruleset(&fixture->site, conf, "");
    fixture->kit = dns_kit_start(zone);
    fixture->resolver = dns_kit_resolver(fixture->kit, &options);
    fixture->lists = ruleset_dns_lists(fixture->ruleset);
    fixture->list = dns_lists_get(fixture->lists, 0);
}

static void end(struct fixture *fixture)
{
    resolver_free(&fixture->resolver);
    dns_kit_stop(&fixture->kit);
    ruleset_unref(&fixture->ruleset);
    site_fini(&fixture->site);
}

/* Another server in place of the one that there was. */
static void change_zone(struct fixture *fixture, const char *zone)
{
    struct dns_kit *kit = dns_kit_start(zone);

    dns_kit_take_over(kit, fixture->resolver, &options);
    dns_kit_stop(&fixture->kit);
    fixture->kit = kit;
}

/* Ticks as the daemon does, as if it were `later` seconds later, until the probe that this begins is at its end. */
static void tick_through(struct fixture *fixture, int64_t later)
{
    int64_t now = dns_now() + later * SECOND;

    dns_lists_tick(fixture->lists, fixture->resolver, fixture->logger, now);
    for (int i = 0; i < 500 && dnsbl_health_is_probing(fixture->list->health); i++) {
        (void)usleep(10000);
        dns_lists_tick(fixture->lists, fixture->resolver, fixture->logger, now);
    }
    assert_false(dnsbl_health_is_probing(fixture->list->health));
}

static void test_a_list_is_not_asked_before_it_was_probed(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", GOOD);
    assert_false(dns_list_is_usable(fixture.list));
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    assert_true(dns_list_is_usable(fixture.list));
    end(&fixture);
}

static void test_a_list_that_needs_no_probe_is_asked_at_once(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { probe = false }", "");
    assert_true(dns_list_is_usable(fixture.list));
    tick_through(&fixture, 0);
    assert_int_equal(dns_kit_questions(fixture.kit), 0);
    end(&fixture);
}

/* Suspended within the hour, back within a minute, by itself. */
static void test_a_list_is_suspended_and_comes_back(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", GOOD);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    assert_true(dns_list_is_usable(fixture.list));
    change_zone(&fixture, "2.0.0.127.bl.test NOSOA\n");
    tick_through(&fixture, 3500);
    assert_true(dns_list_is_usable(fixture.list));
    assert_int_equal(dns_kit_questions(fixture.kit), 0);
    tick_through(&fixture, 3601);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_EMPTY);
    assert_false(dns_list_is_usable(fixture.list));
    change_zone(&fixture, GOOD);
    tick_through(&fixture, 3601 + 30);
    assert_false(dns_list_is_usable(fixture.list));
    /* What is not there may be remembered for a time, so it is asked again and again. */
    for (int i = 1; i < 600 && !dns_list_is_usable(fixture.list); i++) {
        (void)usleep(10000);
        tick_through(&fixture, 3601 + 61 * i);
    }
    assert_true(dns_list_is_usable(fixture.list));
    end(&fixture);
}

static void test_what_is_wrong_with_a_list(void **state)
{
    static const struct {
        const char *zone;
        enum dnsbl_health_state state;
        const char *text;
    } cases[] = {
        {"", DNSBL_HEALTH_EMPTY, "does not list its test entry (127.0.0.2: nxdomain)"},
        {"2.0.0.127.bl.test A 127.0.0.1\n", DNSBL_HEALTH_REFUSES,
         "answers an error instead of a listing (127.0.0.2: 127.0.0.1)"},
        {"* A 127.0.0.2\n", DNSBL_HEALTH_LISTS_ALL,
         "lists what no list may list (127.0.0.1: 127.0.0.2)"},
        {"* A 192.0.2.80\n", DNSBL_HEALTH_REFUSES,
         "answers an error instead of a listing (127.0.0.2: 192.0.2.80)"},
        {"2.0.0.127.bl.test SERVFAIL\n", DNSBL_HEALTH_SILENT,
         "gives no answer (127.0.0.2: servfail)"},
        {"2.0.0.127.bl.test SILENT\n", DNSBL_HEALTH_SILENT, "gives no answer (127.0.0.2: timeout)"},
        {GOOD, DNSBL_HEALTH_GOOD, "passes its probe"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        struct strbuf text;

        begin(&fixture, "dnsbl \"bl.test\" { ipv6 = false }", cases[i].zone);
        dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
        strbuf_init(&text);
        dnsbl_health_describe(fixture.list->health, &text);
        assert_string_equal(text.data, cases[i].text);
        assert_int_equal(dnsbl_health_state(fixture.list->health), cases[i].state);
        strbuf_fini(&text);
        end(&fixture);
    }
}

/* Who wants 451 while the list cannot be asked gets 451, not mail without the list. */
static void test_a_silent_list_is_asked_where_its_failure_counts(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { on_tempfail = 451 }", "2.0.0.127.bl.test SERVFAIL\n");
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_SILENT);
    assert_true(dns_list_is_usable(fixture.list));
    end(&fixture);
}

static void test_ipv6_and_domains_have_test_entries_of_their_own(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture,
          "dnsbl \"bl.test\" { }\n"
          "dnsbl \"names\" { zone = \"bl.test\" lookup = sender }\n"
          "dnsbl \"others\" { zone = \"bl.test\" lookup = sender probe_listed = \"x.example\" }",
          GOOD
          "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test A 127.0.0.2\n"
          "test.bl.test A 127.0.0.2\n");
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    assert_true(dns_list_is_usable(fixture.list));
    assert_true(dnsbl_health_has_ipv6(fixture.list->health));
    assert_true(dns_list_is_usable(dns_lists_get(fixture.lists, 1)));
    assert_false(dns_list_is_usable(dns_lists_get(fixture.lists, 2)));
    end(&fixture);
}

/* An error in an answer to a session: is the list as a whole in order? */
static void test_an_error_has_the_list_probed(void **state)
{
    struct fixture fixture;
    const struct dns_record record = {
        .addr = {.family = NETADDR_IPV4, .bits = 32, .bytes = {127, 255, 255, 254}}, .text = ""};

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", GOOD);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    change_zone(&fixture, "* 0 A 127.255.255.254\n");
    dns_list_count(fixture.list, DNSBL_ERROR, &record);
    tick_through(&fixture, 1);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_REFUSES);
    end(&fixture);
}

static void count_listings(struct fixture *fixture, int count)
{
    const struct dns_record record = {
        .addr = {.family = NETADDR_IPV4, .bits = 32, .bytes = {127, 0, 0, 2}}, .text = ""};

    for (int i = 0; i < count; i++) {
        dns_list_count(fixture->list, DNSBL_LISTED, &record);
    }
}

/* Its zone lists the world from now on: mail does not wait for the hourly probe. */
static void test_a_list_that_lists_all_who_come_is_probed(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { ipv6 = false }", GOOD "1.0.0.127.bl.test NOSOA\n");
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    tick_through(&fixture, 1);
    change_zone(&fixture, "* 0 A 127.0.0.2\n");
    count_listings(&fixture, 9);
    tick_through(&fixture, 2);
    dns_list_count(fixture.list, DNSBL_CLEAN, NULL);
    count_listings(&fixture, 9);
    tick_through(&fixture, 3);
    assert_int_equal(dns_kit_questions(fixture.kit), 0);
    count_listings(&fixture, 10);
    tick_through(&fixture, 4);
    assert_true(dns_kit_questions(fixture.kit) > 0);
    /* That 127.0.0.1 is not listed may be remembered for a time. */
    for (int i = 1; i < 600 && dns_list_is_usable(fixture.list); i++) {
        (void)usleep(10000);
        count_listings(&fixture, 10);
        tick_through(&fixture, 4 + 61 * i);
    }
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_LISTS_ALL);
    end(&fixture);
}

/* Sessions that got no answer have each waited for it: an hour of that is too much, one lost answer is nothing. */
static void test_a_list_that_does_not_answer_is_probed(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { ipv6 = false }", GOOD);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    unsigned before = dns_kit_questions(fixture.kit);

    tick_through(&fixture, 1);
    assert_int_equal(dns_kit_questions(fixture.kit), before);
    dns_list_count(fixture.list, DNSBL_UNKNOWN, NULL);
    tick_through(&fixture, 2);
    assert_true(dns_kit_questions(fixture.kit) > before);
    assert_true(dns_list_is_usable(fixture.list));
    change_zone(&fixture, "2.0.0.127.bl.test SERVFAIL\n");
    dns_list_count(fixture.list, DNSBL_UNKNOWN, NULL);
    tick_through(&fixture, 30);
    assert_int_equal(dns_kit_questions(fixture.kit), 0);
    tick_through(&fixture, 63);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_SILENT);
    end(&fixture);
}

/* Where nobody answers, no list is to blame; it would be left out for a minute after the servers are back. */
static void test_silent_servers_are_not_the_fault_of_a_list(void **state)
{
    struct fixture fixture;
    struct resolver_stats stats = {.down = false};

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { ipv6 = false }", GOOD);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    dns_kit_silence(fixture.kit, true);
    struct dns_answer *answer = resolver_ask(fixture.resolver, "x.test", DNS_A);

    for (int i = 0; i < 500 && !stats.down; i++) {
        (void)usleep(10000);
        resolver_stats(fixture.resolver, &stats);
    }
    assert_true(stats.down);
    dns_list_count(fixture.list, DNSBL_UNKNOWN, NULL);
    tick_through(&fixture, 2);
    assert_true(dns_list_is_usable(fixture.list));
    dns_answer_unref(&answer);
    end(&fixture);
}

/* The daemon was started before the network: its lists are not left aside for a minute more. */
static void test_lists_come_back_with_the_servers(void **state)
{
    struct resolver_stats stats = {.down = false};
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { ipv6 = false }", GOOD);
    dns_kit_silence(fixture.kit, true);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    tick_through(&fixture, 1);
    resolver_stats(fixture.resolver, &stats);
    assert_true(stats.down);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_SILENT);
    dns_kit_silence(fixture.kit, false);
    for (int i = 0; i < 500 && stats.down; i++) {
        (void)usleep(20000);
        resolver_stats(fixture.resolver, &stats);
    }
    assert_false(stats.down);
    /* What failed is remembered for five seconds. */
    tick_through(&fixture, 2);
    assert_false(dns_list_is_usable(fixture.list));
    (void)usleep(5500000);
    tick_through(&fixture, 4);
    assert_true(dns_list_is_usable(fixture.list));
    end(&fixture);
}

#define GOOD_IPV6 \
    "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test 0 A 127.0.0.2\n"
#define SILENT_IPV6 \
    "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.test SERVFAIL\n"

/* One answer that is lost is no reason to let all IPv6 clients pass for an hour; a list that goes on so is. */
static void test_one_lost_answer_about_ipv6(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", GOOD GOOD_IPV6);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    assert_true(dnsbl_health_has_ipv6(fixture.list->health));
    change_zone(&fixture, GOOD SILENT_IPV6);
    tick_through(&fixture, 3601);
    assert_true(dns_list_is_usable(fixture.list));
    assert_true(dnsbl_health_has_ipv6(fixture.list->health));
    tick_through(&fixture, 3601 + 61);
    assert_true(dns_list_is_usable(fixture.list));
    assert_false(dnsbl_health_has_ipv6(fixture.list->health));
    change_zone(&fixture, GOOD GOOD_IPV6);
    (void)usleep(5500000); /* so long a failure is remembered */
    tick_through(&fixture, 3601 + 122);
    assert_true(dnsbl_health_has_ipv6(fixture.list->health));
    end(&fixture);
}

/* That an answer was lost is remembered for seconds: another probe by then, as listed clients may cause, knows nothing new. */
static void test_an_answer_is_not_lost_twice_by_being_remembered(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", GOOD GOOD_IPV6);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    change_zone(&fixture, GOOD SILENT_IPV6);
    tick_through(&fixture, 3601);
    change_zone(&fixture, GOOD GOOD_IPV6);
    count_listings(&fixture, 10);
    dns_list_count(fixture.list, DNSBL_UNKNOWN, NULL);
    tick_through(&fixture, 3602);
    assert_true(dnsbl_health_has_ipv6(fixture.list->health));
    assert_int_equal(dns_kit_questions(fixture.kit), 0);
    tick_through(&fixture, 3610);
    assert_true(dns_kit_questions(fixture.kit) > 0);
    end(&fixture);
}

static void test_a_reload_keeps_what_is_known(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", GOOD);
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    unsigned before = dns_kit_questions(fixture.kit);

    site_conf(&fixture.site, "dnsbl \"new\" { zone = \"bl2.test\" }\n"
                             "dnsbl \"renamed\" { zone = \"bl.test\" reply = \"550 other text\" }");
    struct ruleset *fresh = site_load(&fixture.site);

    assert_non_null(fresh);
    struct dns_lists *lists = ruleset_dns_lists(fresh);

    dns_lists_adopt(lists, fixture.lists);
    assert_int_equal(dnsbl_health_state(dns_lists_get(lists, 0)->health), DNSBL_HEALTH_UNKNOWN);
    assert_true(dns_list_is_usable(dns_lists_get(lists, 1)));
    dns_lists_probe(lists, fixture.resolver, NULL, dns_now() + PATIENCE);
    assert_int_equal(dnsbl_health_state(dns_lists_get(lists, 0)->health), DNSBL_HEALTH_EMPTY);
    assert_int_equal(dns_kit_questions(fixture.kit), before + 4);
    ruleset_unref(&fresh);
    end(&fixture);
}

/* A server that is silent costs the start of a daemon the time of one question. */
/* A server that no list answers is replaced: what it said would suspend the list for as long as its TTL. */
static void test_other_servers_have_lists_probed_anew(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }", "2.0.0.127.bl.test 86400 A 127.255.255.254\n");
    dns_lists_probe(fixture.lists, fixture.resolver, NULL, dns_now() + 2 * SECOND);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_REFUSES);
    change_zone(&fixture, GOOD);

    struct ruleset *before = fixture.ruleset;

    fixture.ruleset = site_load(&fixture.site);
    fixture.lists = ruleset_dns_lists(fixture.ruleset);
    fixture.list = dns_lists_get(fixture.lists, 0);
    dns_lists_adopt(fixture.lists, ruleset_dns_lists(before));
    ruleset_unref(&before);
    assert_false(dns_list_is_usable(fixture.list));
    tick_through(&fixture, 0);
    assert_true(dns_list_is_usable(fixture.list));
    end(&fixture);
}

static void test_probing_ends_in_time(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "dnsbl \"bl.test\" { }\ndnsbl \"bl2.test\" { }\ndnsbl \"bl3.test\" { }", GOOD);
    dns_kit_silence(fixture.kit, true);
    int64_t start = dns_now();

    dns_lists_probe(fixture.lists, fixture.resolver, NULL, start + SECOND / 5);
    assert_true(dns_now() - start < SECOND);
    assert_int_equal(dnsbl_health_state(fixture.list->health), DNSBL_HEALTH_SILENT);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_not_asked_before_it_was_probed),
        cmocka_unit_test(test_a_list_that_needs_no_probe_is_asked_at_once),
        cmocka_unit_test(test_a_list_is_suspended_and_comes_back),
        cmocka_unit_test(test_what_is_wrong_with_a_list),
        cmocka_unit_test(test_a_silent_list_is_asked_where_its_failure_counts),
        cmocka_unit_test(test_ipv6_and_domains_have_test_entries_of_their_own),
        cmocka_unit_test(test_an_error_has_the_list_probed),
        cmocka_unit_test(test_a_list_that_lists_all_who_come_is_probed),
        cmocka_unit_test(test_a_list_that_does_not_answer_is_probed),
        cmocka_unit_test(test_silent_servers_are_not_the_fault_of_a_list),
        cmocka_unit_test(test_lists_come_back_with_the_servers),
        cmocka_unit_test(test_one_lost_answer_about_ipv6),
        cmocka_unit_test(test_an_answer_is_not_lost_twice_by_being_remembered),
        cmocka_unit_test(test_a_reload_keeps_what_is_known),
        cmocka_unit_test(test_other_servers_have_lists_probed_anew),
        cmocka_unit_test(test_probing_ends_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
