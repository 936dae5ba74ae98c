/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_usage.h"

#include "tests/unit/relay_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

static bool charge(struct relay_usage *usage, const char *addr, unsigned limit, int64_t now)
{
    struct netaddr netaddr = kit_address(addr);

    return relay_usage_charge(usage, &netaddr, limit, now);
}

static void test_an_hour(void **state)
{
    struct relay_usage *usage = relay_usage_new(10);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(charge(usage, "192.0.2.1", 3, KIT_NOW + i));
    }
    assert_false(charge(usage, "192.0.2.1", 3, KIT_NOW + 3));
    assert_false(charge(usage, "192.0.2.1", 3, KIT_NOW + RELAY_USAGE_HOUR - 1));
    /* others have hours of their own, and a network is not its addresses */
    assert_true(charge(usage, "192.0.2.2", 1, KIT_NOW + 3));
    assert_true(charge(usage, "2001:db8::/64", 1, KIT_NOW + 3));
    assert_true(charge(usage, "2001:db8::", 1, KIT_NOW + 3));
    assert_false(charge(usage, "2001:db8::/64", 1, KIT_NOW + 3));
    /* the limit may be raised meanwhile, or taken away */
    assert_true(charge(usage, "192.0.2.1", 4, KIT_NOW + 4));
    assert_true(charge(usage, "192.0.2.1", 0, KIT_NOW + 4));
    assert_false(charge(usage, "192.0.2.1", 4, KIT_NOW + 5));
    /* the next hour begins with its first recipient, not at a full hour after the last one */
    assert_true(charge(usage, "192.0.2.1", 1, KIT_NOW + RELAY_USAGE_HOUR + 1000));
    assert_false(charge(usage, "192.0.2.1", 1, KIT_NOW + 2 * RELAY_USAGE_HOUR + 999));
    assert_true(charge(usage, "192.0.2.1", 1, KIT_NOW + 2 * RELAY_USAGE_HOUR + 1000));
    relay_usage_free(&usage);
    assert_null(usage);
}

static void test_a_clock_that_is_set_back(void **state)
{
    struct relay_usage *usage = relay_usage_new(10);

    (void)state;
    assert_true(charge(usage, "192.0.2.1", 2, KIT_NOW));
    assert_true(charge(usage, "192.0.2.1", 2, KIT_NOW - 86400));
    assert_false(charge(usage, "192.0.2.1", 2, KIT_NOW - 86400));
    assert_true(charge(usage, "192.0.2.1", 2, KIT_NOW - 86400 + RELAY_USAGE_HOUR));
    relay_usage_free(&usage);
}

static void test_top(void **state)
{
    struct relay_usage *usage = relay_usage_new(100000);
    int64_t now = (int64_t)time(NULL);
    struct netaddr remote = kit_address("192.0.2.200");
    struct relay_top top[4];
    uint64_t recipients;
    uint64_t refused;
    char addr[32];

    (void)state;
    assert_int_equal(relay_usage_top(usage, top, 4), 0);
    for (unsigned i = 1; i <= 5000; i++) {
        (void)snprintf(addr, sizeof(addr), "10.1.%u.%u", i >> 8, i & 255);
        assert_true(charge(usage, addr, 0, now));
    }
    for (int i = 0; i < 3; i++) {
        assert_true(charge(usage, "10.1.4.7", 0, now - 4000)); /* an hour that is over */
    }
    assert_true(charge(usage, "10.1.3.9", 2, now));
    assert_false(charge(usage, "10.1.3.9", 2, now));
    relay_usage_note_refused(usage, &remote, now);
    assert_int_equal(relay_usage_top(usage, top, 2), 2);
    assert_int_equal(relay_usage_top(usage, top, 4), 4);
    assert_true(netaddr_equal(&top[0].addr, &(struct netaddr){NETADDR_IPV4, 32, {10, 1, 4, 7}}));
    assert_int_equal(top[0].recipients, 4);
    assert_true(netaddr_equal(&top[1].addr, &(struct netaddr){NETADDR_IPV4, 32, {10, 1, 3, 9}}));
    assert_int_equal(top[1].recipients, 2);
    assert_int_equal(top[1].refused, 1);
    assert_int_equal(top[1].this_hour, 2);
    assert_int_equal(top[2].recipients, 1);
    assert_int_equal(relay_usage_top(usage, top, 0), 0);
    relay_usage_totals(usage, &recipients, &refused);
    assert_int_equal(recipients, 5004);
    assert_int_equal(refused, 2);
    relay_usage_free(&usage);
}

static void test_the_quiet_make_room(void **state)
{
    struct relay_usage *usage = relay_usage_new(3);
    struct relay_top top[8];

    (void)state;
    assert_true(charge(usage, "192.0.2.1", 1, KIT_NOW));
    assert_true(charge(usage, "192.0.2.2", 1, KIT_NOW));
    assert_true(charge(usage, "192.0.2.3", 1, KIT_NOW));
    assert_false(charge(usage, "192.0.2.1", 1, KIT_NOW));
    assert_true(charge(usage, "192.0.2.4", 1, KIT_NOW)); /* in the place of .2 */
    assert_int_equal(relay_usage_top(usage, top, 8), 3);
    assert_false(charge(usage, "192.0.2.1", 1, KIT_NOW));
    assert_false(charge(usage, "192.0.2.3", 1, KIT_NOW));
    assert_false(charge(usage, "192.0.2.4", 1, KIT_NOW));
    for (unsigned i = 0; i < 2000; i++) {
        char addr[32];

        (void)snprintf(addr, sizeof(addr), "10.1.%u.%u", i >> 8, i & 255);
        assert_true(charge(usage, addr, 1, KIT_NOW));
        assert_false(charge(usage, addr, 1, KIT_NOW));
    }
    assert_int_equal(relay_usage_top(usage, top, 8), 3);
    relay_usage_resize(usage, 5);
    assert_true(charge(usage, "192.0.2.1", 1, KIT_NOW));
    assert_true(charge(usage, "192.0.2.2", 1, KIT_NOW));
    assert_int_equal(relay_usage_top(usage, top, 8), 5);
    relay_usage_free(&usage);
}

#define THREADS 4
#define EACH 5000u
#define LIMIT 7000u

static void *charge_much(void *arg)
{
    struct relay_usage *usage = arg;
    struct relay_top top[2];
    uintptr_t taken = 0;

    for (unsigned i = 0; i < EACH; i++) {
        taken += charge(usage, "192.0.2.1", LIMIT, KIT_NOW) ? 1 : 0;
        (void)charge(usage, i % 2 == 0 ? "192.0.2.2" : "192.0.2.3", 0, KIT_NOW);
        if (i % 500 == 0) {
            (void)relay_usage_top(usage, top, 2);
        }
    }
    return (void *)taken;
}

static void test_threads_share_a_limit(void **state)
{
    struct relay_usage *usage = relay_usage_new(2);
    pthread_t threads[THREADS];
    uintptr_t taken = 0;

    (void)state;
    relay_usage_resize(usage, 3);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, charge_much, usage), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *one;

        assert_int_equal(pthread_join(threads[i], &one), 0);
        taken += (uintptr_t)one;
    }
    assert_int_equal(taken, LIMIT);
    relay_usage_free(&usage);
}

/* What the store makes of it: a store that only reads charges nobody. */
static void test_store(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct netaddr addr = kit_address("192.0.2.1");
    struct relay_store_stats stats;
    struct relay_top top[2];

    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000000 user=ann"), STATUS_OK);
    assert_int_equal(relay_store_charge(store, &addr, 1, KIT_NOW), STATUS_OK);
    assert_int_equal(relay_store_charge(store, &addr, 1, KIT_NOW), STATUS_NOTFOUND);
    assert_int_equal(relay_store_charge(store, &addr, 0, KIT_NOW), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.recipients, 2);
    assert_int_equal(stats.recipients_refused, 1);
    assert_int_equal(relay_store_top(store, top, 2), 1);
    assert_int_equal(top[0].recipients, 2);
    relay_store_close(&store);

    store = relay_store_read(&kit->options, &kit->why);
    assert_non_null(store);
    assert_int_equal(relay_store_charge(store, &addr, 0, KIT_NOW), STATUS_TEMPFAIL);
    assert_int_equal(relay_store_top(store, top, 2), 0);
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_hour),
        cmocka_unit_test(test_a_clock_that_is_set_back),
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_the_quiet_make_room),
        cmocka_unit_test(test_threads_share_a_limit),
        cmocka_unit_test_setup_teardown(test_store, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_usage", tests, NULL, NULL);
}
