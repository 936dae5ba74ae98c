/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of relay_store that name a Redis server. */
#include "lib/policy/config.h"
#include "lib/relay/relay_store_redis.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_load_takes_each_key(void **state)
{
    struct config *config = site_load_conf(
        *state, "relay_store {\n  redis_url = \"redis://ann@[2001:db8::1]:1/2\"\n"
                "  redis_password_file = \"/etc/secret\"\n  redis_ca_file = \"/etc/ca\"\n"
                "  redis_key_prefix = \"x\"\n  timeout_ms = 10\n}\n");

    assert_non_null(config);
    struct relay_store_options options = config_relay_options(&config->relay_store);

    assert_int_equal(options.backend, RELAY_BACKEND_GDBM);
    assert_string_equal(options.redis.url, "redis://ann@[2001:db8::1]:1/2");
    assert_string_equal(options.redis.password_file, "/etc/secret");
    assert_string_equal(options.redis.ca_file, "/etc/ca");
    assert_string_equal(options.redis.key_prefix, "x");
    assert_int_equal(options.redis.timeout_ms, 10);
    config_free(&config);
}

static void test_load_refuses_what_cannot_be(void **state)
{
#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {
        {"redis_url = \"localhost:6379\"",
         "postern.conf:1: error: redis_url: it begins with none of redis://, rediss://, unix:/\n"},
        {"redis_url = \"\"", NULL},
        /* what was written is not repeated */
        {"redis_url = \"redis://:hushhush@localhost\"",
         "postern.conf:1: error: redis_url: a password does not belong into the URL; put it into a "
         "file, and name that as redis_password_file\n"},
        {"redis_password_file = \"secret\"",
         "postern.conf:1: error: redis_password_file: \"secret\" must be an absolute path, or \"\" for "
         "none\n"},
        {"redis_ca_file = \"ca\"", NULL},
        {"redis_key_prefix = \"a b\"",
         "postern.conf:1: error: redis_key_prefix: holds a blank or a byte that is no printable "
         "ASCII\n"},
        {"redis_key_prefix = \"" LONG LONG "x\"",
         "postern.conf:1: error: redis_key_prefix: has more than 64 bytes\n"},
        {"timeout_ms = 9", "postern.conf:1: error: timeout_ms: 9 is not between 10 and 60000\n"},
        {"timeout_ms = 60001", NULL},
    };
    struct site *site = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strbuf text;

        strbuf_init(&text);
        strbuf_appendf(&text, "relay_store { %s }\n", cases[i].text);
        strbuf_reset(&site->log.text);
        struct config *config = site_load_conf(site, text.data);

        strbuf_fini(&text);
        if (config != NULL || site->log.text.len == 0 ||
            (cases[i].said != NULL && strcmp(site->log.text.data, cases[i].said) != 0)) {
            fail_msg("%s: %s", cases[i].text, site->log.text.data);
        }
    }
}

/* What this postern was built without is an error of the configuration, not a surprise of the start. */
static void test_load_refuses_what_was_not_built(void **state)
{
    struct site *site = *state;
    struct config *config = site_load_conf(site, "relay_store { backend = \"redis\" }\n");

    if (relay_store_redis_lacks(NULL) == NULL) {
        assert_non_null(config);
        assert_int_equal(config->relay_store.backend, RELAY_BACKEND_REDIS);
    } else {
        assert_null(config);
        assert_non_null(strstr(site->log.text.data, "built without Redis"));
    }
    config_free(&config);
    if (relay_store_redis_lacks(NULL) != NULL) {
        return;
    }
    strbuf_reset(&site->log.text);
    config = site_load_conf(site, "relay_store { redis_url = \"rediss://host\" }\n");
    struct relay_redis_url url = {.kind = RELAY_REDIS_TLS};

    if (relay_store_redis_lacks(&url) == NULL) {
        assert_non_null(config);
    } else {
        assert_null(config);
        assert_non_null(strstr(site->log.text.data, "built without TLS"));
    }
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load_takes_each_key, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(test_load_refuses_what_cannot_be, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(test_load_refuses_what_was_not_built, site_setup,
                                        site_teardown),
    };

    return cmocka_run_group_tests_name("config_redis", tests, NULL, NULL);
}
