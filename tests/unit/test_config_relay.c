/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of relay_store about sessions and limits. */
#include "lib/policy/config.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_load_defaults(void **state)
{
    struct config *config = site_load_conf(*state, "");

    assert_non_null(config);
    const struct config_relay_store *store = &config->relay_store;
    struct relay_sessions_terms terms = config_relay_sessions(store);

    assert_int_equal(terms.max_hours, 24);
    assert_int_equal(terms.max_sessions, 100000);
    assert_int_equal(terms.window_minutes, 0);
    assert_int_equal(terms.ipv6_prefix_bits, 128);
    assert_int_equal(store->grant_senders, GRANT_SENDERS_ANY);
    assert_int_equal(store->recipients_per_message, 0);
    assert_int_equal(store->recipients_per_hour, 0);
    assert_int_equal(store->terms.addresses_per_user, 0);
    assert_int_equal(store->terms.addresses_exceeded, RELAY_EXCESS_LOG);
    config_free(&config);
}

static void test_load_takes_each_key(void **state)
{
    struct config *config = site_load_conf(
        *state, "relay_store {\n  window_minutes = 30 ipv6_prefix_bits = 64\n"
                "  session_max_hours = 8760 max_sessions = 10000000\n"
                "  grant_senders = \"domain\" recipients_per_message = 1 recipients_per_hour = 2\n"
                "  addresses_per_user = 3 addresses_exceeded = \"withdraw\"\n}\n");

    assert_non_null(config);
    const struct config_relay_store *store = &config->relay_store;
    struct relay_sessions_terms terms = config_relay_sessions(store);

    assert_int_equal(terms.max_hours, 8760);
    assert_int_equal(terms.max_sessions, 10000000);
    assert_int_equal(terms.window_minutes, 30);
    assert_int_equal(terms.ipv6_prefix_bits, 64);
    assert_int_equal(store->grant_senders, GRANT_SENDERS_DOMAIN);
    assert_int_equal(store->recipients_per_message, 1);
    assert_int_equal(store->recipients_per_hour, 2);
    assert_int_equal(store->terms.addresses_per_user, 3);
    assert_int_equal(store->terms.addresses_exceeded, RELAY_EXCESS_WITHDRAW);
    config_free(&config);
}

static void test_load_refuses_what_cannot_be(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"session_max_hours = 8761", "session_max_hours: 8761 is not between 0 and 8760"},
        {"session_max_hours = -1", "session_max_hours: -1 is not between 0 and 8760"},
        {"max_sessions = 0", "max_sessions: 0 is not between 1 and 10000000"},
        {"max_sessions = 10000001", "max_sessions: 10000001 is not between 1 and 10000000"},
        {"grant_senders = \"user\"",
         "grant_senders: \"user\" is none of \"any\", \"address\", \"domain\""},
        {"recipients_per_message = -1", "recipients_per_message: -1 is not between 0 and 1000000"},
        {"recipients_per_hour = 1000001",
         "recipients_per_hour: 1000001 is not between 0 and 1000000"},
        {"addresses_per_user = 1001", "addresses_per_user: 1001 is not between 0 and 1000"},
        {"addresses_exceeded = \"reject\"",
         "addresses_exceeded: \"reject\" is none of \"log\", \"refuse\", \"withdraw\""},
        {"backend = \"bdb\"", "backend: \"bdb\" is none of \"gdbm\", \"redis\""},
    };

    struct site *site = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[256];
        char said[256];

        (void)snprintf(text, sizeof(text), "relay_store {\n  %s\n}\n", rows[i].text);
        (void)snprintf(said, sizeof(said), "postern.conf:2: error: %s\n", rows[i].expected);
        strbuf_reset(&site->log.text);
        assert_null(site_load_conf(site, text));
        assert_string_equal(site->log.text.data, said);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_load_defaults),
        TEST(test_load_takes_each_key),
        TEST(test_load_refuses_what_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
