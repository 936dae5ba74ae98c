/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions that POP and IMAP servers tell of: what begins with a login and ends with a logout. */
#include "tests/unit/popauth_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t date_of(struct popauth_kit *fixture, const char *address)
{
    struct relay_found found = {.login_at = 0};

    assert_int_equal(popauth_kit_find(fixture, address, &found), STATUS_OK);
    return found.login_at;
}

/* Until the clock shows another second than that of a login. */
static void wait_a_second(int64_t date)
{
    while ((int64_t)time(NULL) <= date) {
        (void)usleep(10000);
    }
}

static void test_window_begins_with_the_last_logout(void **state)
{
    struct popauth_kit *fixture = *state;
    struct relay_found found;

    server_kit_ask(&fixture->kit,
                   "login 192.0.2.1 user=ann service=imap session=<x/y=>\n"
                   "login 192.0.2.1 user=bob session=2\n"
                   "login 192.0.2.1 user=bob session=2\n"
                   "login 192.0.2.2\n",
                   "ok\nok\nok\nok\n");
    int64_t date = date_of(fixture, "192.0.2.1");
    int64_t other = date_of(fixture, "192.0.2.2");

    assert_int_equal(popauth_kit_sessions(fixture).sessions, 2);
    assert_int_equal(popauth_kit_sessions(fixture).addresses, 1);
    wait_a_second(other > date ? other : date);
    server_kit_ask(&fixture->kit,
                   "logout 192.0.2.1 session=2\n" /* not the last one */
                   "logout 192.0.2.1 session=2\n" /* is over already */
                   "logout 192.0.2.1 session=3\n" /* never was */
                   "logout 192.0.2.2 session=<x/y=>\n"
                   "logout 192.0.2.2\n"
                   "logout 192.0.2.1\n",
                   "ok\nok\nok\nok\nok\nok\n");
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 1);
    assert_int_equal(date_of(fixture, "192.0.2.1"), date);
    assert_int_equal(date_of(fixture, "192.0.2.2"), other);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1 user=x session=<x/y=>\n", "ok\n");
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 0);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", &found), STATUS_OK);
    assert_true(found.login_at > date);
    assert_string_equal(found.user, "bob");
}

static void test_login_and_logout_at_once(void **state)
{
    struct popauth_kit *fixture = *state;

    for (int i = 0; i < 100; i++) {
        server_kit_ask(&fixture->kit,
                       "login 192.0.2.1 session=1\nlogout 192.0.2.1 session=1\n"
                       "login 2001:db8::1 session=1\nlogout 2001:db8::1 session=1\n",
                       "ok\nok\nok\nok\n");
    }
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 0);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", NULL), STATUS_OK);
    assert_int_equal(popauth_kit_find(fixture, "2001:db8::2", NULL), STATUS_OK);
}

/* Who was taken out of the store stays out of it, whatever his session does. */
static void test_logout_of_who_was_removed(void **state)
{
    struct popauth_kit *fixture = *state;
    struct relay_change change = {.kind = RELAY_REMOVE};

    server_kit_ask(&fixture->kit, "login 192.0.2.1 session=1\n", "ok\n");
    assert_true(netaddr_parse("192.0.2.1", &change.entry.addr));
    assert_int_equal(relay_store_apply(fixture->store, &change, NULL, NULL), STATUS_OK);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1 session=1\n", "ok\n");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
}

/* They log in all the same; their window begins at once. */
static void test_more_sessions_than_are_counted(void **state)
{
    struct popauth_kit *fixture = *state;
    char line[64];

    for (int i = 0; i < 120; i++) {
        (void)snprintf(line, sizeof(line), "login 192.0.2.%d session=1\n", i);
        server_kit_ask(&fixture->kit, line, "ok\n");
    }
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 100);
    assert_int_equal(popauth_kit_sessions(fixture).surplus, 20);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.119", NULL), STATUS_OK);
    server_kit_ask(&fixture->kit, "logout 192.0.2.119 session=1\n", "ok\n");
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 100);
}

static void test_sessions_are_not_counted(void **state)
{
    struct popauth_kit *fixture = *state;
    const struct relay_sessions_terms terms = {.max_sessions = 100, .ipv6_prefix_bits = 64};

    server_kit_ask(&fixture->kit, "login 192.0.2.1 session=1\n", "ok\n");
    popauth_configure(fixture->popauth, &terms);
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 0);
    server_kit_ask(&fixture->kit, "login 192.0.2.1 session=2\n", "ok\n");
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 0);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1 session=2\n", "ok\n");
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, popauth_kit_setup, popauth_kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_window_begins_with_the_last_logout), TEST(test_login_and_logout_at_once),
        TEST(test_logout_of_who_was_removed),          TEST(test_more_sessions_than_are_counted),
        TEST(test_sessions_are_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
