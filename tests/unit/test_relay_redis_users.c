/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may do what: limits of users, and rights in a real Redis or Valkey; skipped where there is none. */
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- limits ---- */

static void test_addresses_of_a_user_are_counted(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_change change;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    struct relay_store *store = redis_kit_open(kit);

    assert_true(redis_kit_login(kit, store, 1, "ann", &change));
    assert_true(redis_kit_login(kit, store, 2, "Ann", &change));
    assert_false(change.is_excess);
    assert_true(redis_kit_login(kit, store, 3, "ANN", &change));
    assert_true(change.is_excess);
    assert_int_equal(change.addresses, 3);
    assert_true(redis_kit_login(kit, store, 3, "ann", &change)); /* no news */
    assert_false(change.is_excess);
    assert_true(redis_kit_login(kit, store, 4, "bob", &change));
    assert_false(change.is_excess);
    relay_store_close(&store);
}

static void test_a_user_of_too_many_addresses_is_refused_new_ones(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_change change;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    kit->kit.options.terms.addresses_exceeded = RELAY_EXCESS_REFUSE;
    struct relay_store *store = redis_kit_open(kit);

    assert_true(redis_kit_login(kit, store, 1, "ann", &change));
    assert_true(redis_kit_login(kit, store, 2, "ann", &change));
    assert_false(redis_kit_login(kit, store, 3, "ann", &change));
    assert_true(change.is_excess);
    assert_non_null(strstr(kit->kit.why.data, "addresses_per_user"));
    assert_int_equal(redis_kit_find(store, "192.0.2.3", time(NULL)), STATUS_NOTFOUND);
    assert_false(redis_kit_login(kit, store, 3, "ann", &change));
    assert_false(change.is_excess);
    assert_true(redis_kit_login(kit, store, 1, "ann", &change)); /* an address that was granted */
    assert_false(change.is_excess);
    /* What is remembered is bounded, and the oldest that was not granted goes first. */
    for (unsigned host = 10; host < 60; host++) {
        assert_false(redis_kit_login(kit, store, host, "ann", &change));
    }
    assert_string_equal(redis_kit_ask(kit, "HLEN t:relay-user:ann"), ":18\r\n");
    assert_true(redis_kit_login(kit, store, 2, "ann", &change));
    relay_store_close(&store);
}

/* What is no book of a user in the place of one: no other attempt helps, and nobody else has to wait for it. */
static void test_a_user_whose_addresses_cannot_be_counted(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_change change;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    struct relay_store *store = redis_kit_open(kit);

    assert_true(redis_kit_login(kit, store, 1, "bob", &change));
    assert_string_equal(redis_kit_ask(kit, "SET t:relay-user:ann x"), "+OK\r\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.2 1000 user=ann", NULL),
                     STATUS_INVALID);
    assert_non_null(strstr(kit->kit.why.data, "WRONGTYPE"));
    assert_true(redis_kit_login(kit, store, 3, "bob", &change));
    relay_store_close(&store);
}

/* Whoever logs in from a third address loses all entries. */
static struct relay_store *open_that_withdraws(struct redis_kit *kit)
{
    redis_kit_start(kit, NULL);
    kit->kit.options.terms.addresses_per_user = 2;
    kit->kit.options.terms.addresses_exceeded = RELAY_EXCESS_WITHDRAW;
    return redis_kit_open(kit);
}

static void test_a_user_of_too_many_addresses_loses_all_entries(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store *store = open_that_withdraws(kit);
    struct relay_store_stats stats;
    struct relay_change change;
    char text[128];

    /* One that was added by hand is the user's, too; one that somebody else has taken over is not. */
    (void)snprintf(text, sizeof(text), "192.0.2.9 %lld user=ANN", (long long)time(NULL));
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_true(redis_kit_login(kit, store, 1, "ann", &change));
    assert_true(redis_kit_login(kit, store, 2, "ann", &change));
    assert_true(redis_kit_login(kit, store, 2, "bob", &change));
    assert_false(redis_kit_login(kit, store, 3, "ann", &change));
    assert_true(change.is_excess);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", time(NULL)), STATUS_NOTFOUND);
    assert_int_equal(redis_kit_find(store, "192.0.2.2", time(NULL)), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.3", time(NULL)), STATUS_NOTFOUND);
    assert_int_equal(redis_kit_find(store, "192.0.2.9", time(NULL)), STATUS_NOTFOUND);
    assert_false(
        redis_kit_login(kit, store, 1, "ann", &change)); /* out until the window has passed */
    assert_int_equal(redis_kit_find(store, "192.0.2.1", time(NULL)), STATUS_NOTFOUND);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.removed, 2);
    assert_int_equal(stats.refused, 2);
    relay_store_close(&store);
}

/* Whoever began to look for the entries of a user did not come to the end: the next login does, once. */
static void test_entries_that_were_left_behind_are_removed(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store *store = open_that_withdraws(kit);
    struct relay_change change;
    char text[128];

    for (unsigned host = 1; host <= 3; host++) {
        assert_true(redis_kit_login(kit, store, host, "ann", &change) == (host < 3));
    }
    assert_string_equal(redis_kit_ask(kit, "EXISTS t:relay-disown:ann"), ":0\r\n");
    (void)snprintf(text, sizeof(text), "192.0.2.9 %lld user=ANN", (long long)time(NULL));
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_string_equal(redis_kit_ask(kit, "SET t:relay-disown:ann 1"), "+OK\r\n");
    assert_false(redis_kit_login(kit, store, 3, "ann", &change));
    assert_true(change.is_excess);
    assert_int_equal(redis_kit_find(store, "192.0.2.9", time(NULL)), STATUS_NOTFOUND);
    assert_string_equal(redis_kit_ask(kit, "EXISTS t:relay-disown:ann"), ":0\r\n");
    /* From now on an administrator may let him in again. */
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_false(redis_kit_login(kit, store, 4, "ann", &change));
    assert_int_equal(redis_kit_find(store, "192.0.2.9", time(NULL)), STATUS_OK);
    relay_store_close(&store);
}

static void test_charge_counts_to_the_limit_for_all_hosts(void **state)
{
    struct redis_kit *kit = *state;
    struct netaddr addr = kit_address("2001:db8::/64");
    int64_t now = time(NULL);

    redis_kit_start(kit, NULL);
    struct relay_store *one = redis_kit_open(kit);
    struct relay_store *two = redis_kit_open(kit);

    assert_int_equal(relay_store_charge(one, &addr, 3, now), STATUS_OK);
    assert_int_equal(relay_store_charge(two, &addr, 3, now), STATUS_OK);
    assert_int_equal(relay_store_charge(one, &addr, 3, now), STATUS_OK);
    assert_int_equal(relay_store_charge(two, &addr, 3, now), STATUS_NOTFOUND);
    assert_int_equal(relay_store_charge(one, &addr, 3, now), STATUS_NOTFOUND);
    assert_string_equal(redis_kit_ask(kit, "GET t:relay-sent:2001:db8::/64"), "$1\r\n3\r\n");
    assert_in_range(strtol(redis_kit_ask(kit, "TTL t:relay-sent:2001:db8::/64") + 1, NULL, 10),
                    3500, 3600);
    assert_int_equal(relay_store_charge(one, &addr, 4, now), STATUS_OK);
    relay_store_close(&one);
    relay_store_close(&two);
}

/* ---- who may ---- */

static void test_password_of_the_file_and_database_of_the_url(void **state)
{
    static const char *const words[] = {"--requirepass", "a b\"c", NULL};
    struct redis_kit *kit = *state;
    char path[KIT_PATH_SIZE];

    redis_kit_start(kit, words);
    (void)strncat(kit->url, "?db=3", sizeof(kit->url) - strlen(kit->url) - 1);
    kit->kit.options.wait = false;
    kit_assert_cannot_open(&kit->kit, "NOAUTH");
    redis_kit_password(kit, "wrong\n", path);
    kit_assert_cannot_open(&kit->kit, "WRONGPASS");
    redis_kit_password(kit, "a b\"c\n", path);
    struct relay_store *store = kit_open(&kit->kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    relay_store_close(&store);
    const char *keyspace = redis_kit_ask(
        kit, "AUTH \"a b\\\"c\"\r\nSELECT 3\r\nEXISTS t:relay:192.0.2.1");

    assert_string_equal(keyspace, "+OK\r\n+OK\r\n:1\r\n");
    assert_int_equal(chmod(path, 0644), 0);
    kit_assert_cannot_open(&kit->kit, "open to everybody");
}

/* The rights that postern.conf(5) asks for are enough. */
#define RIGHTS                                                                                     \
    "ACL SETUSER postern on >secret ~t:* resetchannels -@all +select +@string +@hash +@sortedset " \
    "+del +exists +expire +expireat +persist +eval"

static void test_user_with_few_rights_can_do_all(void **state)
{
    static struct relay_entry entries[300];
    struct redis_kit *kit = *state;
    struct relay_change change;
    char path[KIT_PATH_SIZE];

    redis_kit_start(kit, NULL);
    assert_string_equal(redis_kit_ask(kit, RIGHTS), "+OK\r\n");
    (void)strncat(kit->url, "?user=postern&db=1", sizeof(kit->url) - strlen(kit->url) - 1);
    redis_kit_password(kit, "secret", path);
    kit->kit.options.terms = (struct relay_terms){.window_minutes = 30,
                                                  .max_entries = 1000,
                                                  .ipv6_prefix_bits = 64,
                                                  .addresses_per_user = 1,
                                                  .addresses_exceeded = RELAY_EXCESS_WITHDRAW};
    struct relay_store *store = redis_kit_open(kit);
    struct netaddr addr = kit_address("192.0.2.1");

    redis_kit_await(store, true);
    redis_kit_fill(entries, 300, 0, time(NULL));
    assert_int_equal(redis_kit_replace(kit, store, entries, 300), STATUS_OK);
    assert_true(redis_kit_login(kit, store, 1, "ann", &change));
    assert_int_equal(relay_store_charge(store, &addr, 3, time(NULL)), STATUS_OK);
    assert_int_equal(relay_store_charge(store, &addr, 3, time(NULL)), STATUS_OK);
    char text[64];

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)time(NULL) + 1);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_TOUCH, text, NULL), STATUS_OK);
    assert_false(redis_kit_login(kit, store, 2, "ann", &change));
    assert_non_null(strstr(kit->kit.why.data, "addresses_per_user"));
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "2001:db8::/56 99999999999", NULL),
                     STATUS_OK);
    assert_int_equal(kit_remove(&kit->kit, store, "2001:db8::/56"), STATUS_OK);
    assert_int_equal(redis_kit_entries(store), 0);
    struct relay_terms terms = kit->kit.options.terms;

    terms.window_minutes = 0;
    relay_store_configure(store, &terms);
    assert_int_equal(redis_kit_replace(kit, store, entries, 300), STATUS_OK);
    struct relay_change all = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .minutes = 1};

    assert_int_equal(relay_store_apply(store, &all, NULL, NULL), STATUS_OK);
    all.all = true;
    assert_int_equal(relay_store_apply(store, &all, NULL, NULL), STATUS_OK);
    struct relay_store_stats stats;

    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    relay_store_close(&store);
    /* And with one right less it says what is missing. */
    assert_string_equal(redis_kit_ask(kit, "ACL SETUSER postern -mget -eval"), "+OK\r\n");
    kit->kit.options.wait = false;
    kit_assert_cannot_open(&kit->kit, "NOPERM");
}

static void test_reader_changes_nothing(void **state)
{
    struct redis_kit *kit = *state;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    relay_store_close(&store);
    assert_string_equal(redis_kit_ask(kit, "DEL t:relay-probe"), ":1\r\n");
    kit->kit.options.wait = false;
    struct relay_store *reader = relay_store_read(&kit->kit.options, &kit->kit.why);

    assert_non_null(reader);
    assert_int_equal(redis_kit_find(reader, "192.0.2.1", KIT_NOW), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, reader), "192.0.2.1 1000\n");
    assert_int_equal(redis_kit_apply(kit, reader, RELAY_ADD, "192.0.2.2 1000", NULL),
                     STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->kit.why.data, "open for reading"));
    assert_string_equal(redis_kit_ask(kit, "EXISTS t:relay:192.0.2.2 t:relay-probe"), ":0\r\n");
    relay_store_close(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses_of_a_user_are_counted, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_a_user_whose_addresses_cannot_be_counted,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_a_user_of_too_many_addresses_is_refused_new_ones,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_a_user_of_too_many_addresses_loses_all_entries,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_entries_that_were_left_behind_are_removed,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_charge_counts_to_the_limit_for_all_hosts,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_password_of_the_file_and_database_of_the_url,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_user_with_few_rights_can_do_all, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_reader_changes_nothing, redis_kit_setup,
                                        redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_users", tests, NULL, NULL);
}
