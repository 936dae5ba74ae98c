/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a store is said to have: how many entries of which age, and whose.
 */
#include "lib/relay/relay_summary.h"

#include "tests/unit/relay_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void add(struct kit *kit, struct relay_store *store, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct kit *kit, struct relay_store *store, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    assert_int_equal(kit_add(kit, store, line), STATUS_OK);
}

static void test_nothing(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_summary summary = {.users = 7, .top_count = 3};

    assert_true(relay_summary_read(&summary, store, KIT_NOW, 60));
    assert_int_equal(summary.in_force + summary.expired + summary.in_future, 0);
    assert_int_equal(summary.users + summary.nameless + summary.top_count, 0);
    assert_int_equal(summary.oldest, 0);
    assert_int_equal(summary.newest, 0);
    relay_store_close(&store);
}

static void test_age(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_summary summary;
    const long long now = KIT_NOW;

    add(kit, store, "192.0.2.1 %lld user=ann", now);
    add(kit, store, "192.0.2.2 %lld user=ann", now - 3599);
    add(kit, store, "192.0.2.3 %lld user=bob", now - 3601);
    add(kit, store, "192.0.2.4 %lld", now - 100);
    add(kit, store, "2001:db8::/64 %lld user=eve", now + 100);
    assert_true(relay_summary_read(&summary, store, KIT_NOW, 60));
    assert_int_equal(summary.in_force, 3);
    assert_int_equal(summary.expired, 1);
    assert_int_equal(summary.in_future, 1);
    assert_int_equal(summary.users, 2); /* bob's entry is over */
    assert_int_equal(summary.nameless, 1);
    assert_int_equal(summary.oldest, KIT_NOW - 3599);
    assert_int_equal(summary.newest, KIT_NOW);
    /* No window: nothing ends. */
    assert_true(relay_summary_read(&summary, store, KIT_NOW, 0));
    assert_int_equal(summary.in_force, 4);
    assert_int_equal(summary.expired, 0);
    assert_int_equal(summary.users, 3);
    assert_int_equal(summary.oldest, KIT_NOW - 3601);
    relay_store_close(&store);
}

static void test_users(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_summary summary;
    unsigned host = 0;

    /* 15 users with 1 to 15 addresses, each spelled in two ways; two more with 7; a long name */
    for (int user = 1; user <= 15; user++) {
        for (int n = 0; n < user; n++) {
            add(kit, store, "10.0.0.%u %lld user=%sser%02d@x", ++host, (long long)KIT_NOW,
                n % 2 == 0 ? "u" : "U", user);
        }
    }
    for (int n = 0; n < 7; n++) {
        add(kit, store, "10.0.1.%d %lld user=zoe", n, (long long)KIT_NOW);
        add(kit, store, "10.0.2.%d %lld user=amy", n, (long long)KIT_NOW);
    }
    add(kit, store, "10.0.3.1 %lld user=%0255d", (long long)KIT_NOW, 0);
    assert_true(relay_summary_read(&summary, store, KIT_NOW, 60));
    assert_int_equal(summary.users, 18);
    assert_int_equal(summary.top_count, RELAY_SUMMARY_USERS);
    for (size_t i = 0; i < 8; i++) {
        char expected[32];

        (void)snprintf(expected, sizeof(expected), "user%02zu@x", 15 - i);
        assert_int_equal(strcasecmp(summary.top[i].user, expected), 0);
        assert_int_equal(summary.top[i].addresses, 15 - i);
    }
    /* Of three with 7 the first two by name. */
    assert_string_equal(summary.top[8].user, "amy");
    assert_int_equal(strcasecmp(summary.top[9].user, "user07@x"), 0);
    assert_int_equal(summary.top[9].addresses, 7);
    relay_store_close(&store);
}

#define MANY 20000

/* More users than there is room for at first, in a store of several steps; a user whose name is as long as it may be. */
static void test_many_users(void **state)
{
    struct kit *kit = *state;
    static struct relay_entry entries[MANY];
    static char names[MANY][16];
    struct relay_summary summary;

    kit->options.terms.max_entries = MANY + 1;
    struct relay_store *store = kit_open(kit);

    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "u%zu", i / 2);
        entries[i] = (struct relay_entry){
            .addr = kit_address("10.0.0.0"), .login_at = KIT_NOW, .user = names[i], .service = ""};
        entries[i].addr.bytes[1] = (unsigned char)(i >> 16);
        entries[i].addr.bytes[2] = (unsigned char)(i >> 8);
        entries[i].addr.bytes[3] = (unsigned char)i;
    }
    struct relay_change change = {
        .kind = RELAY_REPLACE,
        .entry = {.user = "", .service = ""},
        .entries = entries,
        .entry_count = MANY,
    };
    size_t count;

    assert_int_equal(relay_store_apply(store, &change, &kit->why, &count), STATUS_OK);
    add(kit, store, "192.0.2.1 %lld user=%0255d", (long long)KIT_NOW, 7);
    assert_true(relay_summary_read(&summary, store, KIT_NOW, 60));
    assert_int_equal(summary.in_force, MANY + 1);
    assert_int_equal(summary.users, MANY / 2 + 1);
    assert_int_equal(summary.top_count, RELAY_SUMMARY_USERS);
    assert_string_equal(summary.top[0].user, "u0");
    assert_string_equal(summary.top[9].user, "u1005");
    for (size_t i = 0; i < RELAY_SUMMARY_USERS; i++) {
        assert_int_equal(summary.top[i].addresses, 2);
    }
    relay_store_close(&store);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),
        TEST(test_age),
        TEST(test_users),
        TEST(test_many_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
