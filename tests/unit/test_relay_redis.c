/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store in a real Redis or Valkey; skipped where there is none. */
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- entries ---- */

static void test_login_is_found_with_all_that_is_known(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_found found;
    char login[128];

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);
    int64_t now = time(NULL);
    struct netaddr client = kit_address("192.0.2.1");

    assert_int_equal(relay_store_find(store, &client, now, &found), STATUS_NOTFOUND);
    (void)snprintf(login, sizeof(login), "192.0.2.1 %lld user=a%%20b%%25 service=imap",
                   (long long)now);
    assert_int_equal(kit_login(&kit->kit, store, login), STATUS_OK);
    assert_int_equal(relay_store_find(store, &client, now, &found), STATUS_OK);
    assert_string_equal(found.user, "a b%");
    assert_string_equal(found.service, "imap");
    assert_int_equal(found.login_at, now);
    assert_int_equal(redis_kit_find(store, "192.0.2.2", now), STATUS_NOTFOUND);
    assert_int_equal(kit_remove(&kit->kit, store, "192.0.2.1"), STATUS_OK);
    assert_int_equal(kit_remove(&kit->kit, store, "192.0.2.1"), STATUS_NOTFOUND);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", now), STATUS_NOTFOUND);
    relay_store_close(&store);
}

/* A login never makes an entry older, an addition does; a merge is younger or nothing. */
static void test_dates_of_the_kinds_of_changes(void **state)
{
    struct redis_kit *kit = *state;
    size_t count;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000 user=ann", NULL),
                     STATUS_OK);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 999 user=bob", NULL),
                     STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1000 user=ann\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000 user=bob", NULL),
                     STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1000 user=bob\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_MERGE, "192.0.2.1 1000 user=cat", &count),
                     STATUS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_MERGE, "192.0.2.1 1001 user=cat", &count),
                     STATUS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1001 user=cat\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 5", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 5\n");
    relay_store_close(&store);
}

static void test_touch_changes_the_date_of_what_is_there(void **state)
{
    struct redis_kit *kit = *state;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_TOUCH, "192.0.2.1 1000", NULL),
                     STATUS_NOTFOUND);
    assert_int_equal(
        redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.1 1000 user=ann service=pop3", NULL),
        STATUS_OK);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_TOUCH, "192.0.2.1 1234", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1234 user=ann service=pop3\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_TOUCH, "192.0.2.1 1233", NULL), STATUS_OK);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1234 user=ann service=pop3\n");
    relay_store_close(&store);
}

/* The longest prefix that permits is found, whatever lengths there are; another host learns of them by asking. */
static void test_ipv6_networks_are_found_by_every_host(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_found found;
    struct netaddr client = kit_address("2001:db8:1:2:3::4");

    redis_kit_start(kit, NULL);
    struct relay_store *one = redis_kit_open(kit);
    struct relay_store *two = redis_kit_open(kit);

    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_NOTFOUND);
    assert_int_equal(redis_kit_apply(kit, one, RELAY_ADD, "2001:db8:1::/48 1000 user=wide", NULL),
                     STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "wide");
    assert_int_equal(found.addr.bits, 48);
    assert_int_equal(
        redis_kit_apply(kit, one, RELAY_ADD, "2001:db8:1:2:3::/81 1000 user=odd", NULL), STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "odd");
    assert_int_equal(
        redis_kit_apply(kit, one, RELAY_LOGIN, "2001:db8:1:2::1 1000 user=login", NULL), STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "odd");
    assert_int_equal(kit_remove(&kit->kit, one, "2001:db8:1:2:3::/81"), STATUS_OK);
    assert_int_equal(relay_store_find(two, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "login");
    assert_int_equal(found.addr.bits, 64);
    relay_store_close(&one);
    relay_store_close(&two);
}

/* A date that is over is no permission, even if the server still has it. */
static void test_window_is_checked_here_and_by_the_server(void **state)
{
    struct redis_kit *kit = *state;
    int64_t now = time(NULL);
    char text[128];

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.window_minutes = 30;
    struct relay_store *store = redis_kit_open(kit);

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)now);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, text, NULL), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", now + 30 * 60 - 1), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", now + 30 * 60), STATUS_NOTFOUND);
    const char *left = redis_kit_ask(kit, "TTL t:relay:192.0.2.1");

    assert_int_equal(left[0], ':');
    assert_in_range(strtol(left + 1, NULL, 10), 30 * 60 - 60, 30 * 60);
    /* The server does not let it expire, for whatever reason. */
    assert_string_equal(redis_kit_ask(kit, "PERSIST t:relay:192.0.2.1"), ":1\r\n");
    assert_int_equal(redis_kit_find(store, "192.0.2.1", now + 30 * 60), STATUS_NOTFOUND);
    /* One that is over from the start, and one dated in the future. */
    (void)snprintf(text, sizeof(text), "192.0.2.2 %lld", (long long)now - 30 * 60);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.2", now), STATUS_NOTFOUND);
    (void)snprintf(text, sizeof(text), "192.0.2.3 %lld", (long long)now + 3600);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.3", now + 3600 + 30 * 60 - 1), STATUS_OK);
    relay_store_close(&store);
}

/* After a reload the server's own expiry follows the window, for entries that were there before. */
static void test_window_of_a_reload_counts_for_all_entries(void **state)
{
    struct redis_kit *kit = *state;
    int64_t now = time(NULL);
    char text[128];

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);
    struct relay_terms terms = kit->kit.options.terms;

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)now);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, text, NULL), STATUS_OK);
    assert_string_equal(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n");
    terms.window_minutes = 10;
    relay_store_configure(store, &terms);
    for (int try = 0;
         try < 500 && strcmp(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n") == 0; try++) {
        (void)poll(NULL, 0, 10);
    }
    assert_in_range(strtol(redis_kit_ask(kit, "TTL t:relay:192.0.2.1") + 1, NULL, 10), 500, 600);
    terms.window_minutes = 0;
    relay_store_configure(store, &terms);
    for (int try = 0;
         try < 500 && strcmp(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n") != 0; try++) {
        (void)poll(NULL, 0, 10);
    }
    assert_string_equal(redis_kit_ask(kit, "TTL t:relay:192.0.2.1"), ":-1\r\n");
    relay_store_close(&store);
}

/* What others have put in the place of entries grants nothing, and is in nobody's way. */
static void test_values_that_are_not_posterns_grant_nothing(void **state)
{
    static const char *const commands[] = {
        "SET t:relay:192.0.2.1 garbage",
        "SET t:relay:192.0.2.2 99999999999999999999",
        "SET t:relay:192.0.2.3 \"\"",
        "SET t:relay:192.0.2.4 1000user=x",
        "SET t:relay:192.0.2.5 \"1000 user=a\"",
        "SET t:relay:192.0.2.6 -5",
    };
    struct redis_kit *kit = *state;
    size_t count;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    for (unsigned host = 1; host < 9; host++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "192.0.2.%u 1000", host);
        assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, text, NULL), STATUS_OK);
    }
    for (size_t i = 0; i < COUNT(commands); i++) {
        assert_string_equal(redis_kit_ask(kit, commands[i]), "+OK\r\n");
    }
    assert_string_equal(redis_kit_ask(kit, "DEL t:relay:192.0.2.7"), ":1\r\n");
    assert_string_equal(redis_kit_ask(kit, "LPUSH t:relay:192.0.2.7 1000"), ":1\r\n");
    for (unsigned host = 1; host < 9; host++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "192.0.2.%u", host);
        assert_int_equal(redis_kit_find(store, text, KIT_NOW),
                         host == 5 || host == 8 ? STATUS_OK : STATUS_NOTFOUND);
    }
    assert_string_equal(kit_store_text(&kit->kit, store),
                        "192.0.2.5 1000 user=a\n192.0.2.8 1000\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_TOUCH, "192.0.2.7 2000", NULL),
                     STATUS_NOTFOUND);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_LOGIN, "192.0.2.7 2000", NULL), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.7", KIT_NOW), STATUS_OK);
    struct relay_change expire = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .minutes = 1};

    assert_int_equal(relay_store_apply(store, &expire, NULL, &count), STATUS_OK);
    assert_int_equal(count, 8);
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login_is_found_with_all_that_is_known, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_dates_of_the_kinds_of_changes, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_touch_changes_the_date_of_what_is_there,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_ipv6_networks_are_found_by_every_host, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_window_is_checked_here_and_by_the_server,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_window_of_a_reload_counts_for_all_entries,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_values_that_are_not_posterns_grant_nothing,
                                        redis_kit_setup, redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis", tests, NULL, NULL);
}
