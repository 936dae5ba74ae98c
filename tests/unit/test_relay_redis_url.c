/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse_takes_what_the_manual_says(void **state)
{
    static const struct {
        const char *text;
        struct relay_redis_url url;
    } cases[] = {
        {"redis://127.0.0.1", {.kind = RELAY_REDIS_TCP, .host = "127.0.0.1", .port = 6379}},
        {"redis://127.0.0.1/", {.kind = RELAY_REDIS_TCP, .host = "127.0.0.1", .port = 6379}},
        {"REDIS://db.example:1/15",
         {.kind = RELAY_REDIS_TCP, .host = "db.example", .port = 1, .db = 15}},
        {"redis://ann@db.example:65535/65535",
         {.kind = RELAY_REDIS_TCP,
          .host = "db.example",
          .user = "ann",
          .port = 65535,
          .db = 65535}},
        {"rediss://[2001:db8::1]:6380/2",
         {.kind = RELAY_REDIS_TLS, .host = "2001:db8::1", .port = 6380, .db = 2}},
        {"rediss://u@[::1]", {.kind = RELAY_REDIS_TLS, .host = "::1", .user = "u", .port = 6379}},
        {"unix:/run/redis.sock", {.kind = RELAY_REDIS_UNIX, .path = "/run/redis.sock"}},
        {"unix:///run/redis.sock?db=3&user=ann",
         {.kind = RELAY_REDIS_UNIX, .path = "/run/redis.sock", .db = 3, .user = "ann"}},
        {"unix:/run/redis.sock?user=ann",
         {.kind = RELAY_REDIS_UNIX, .path = "/run/redis.sock", .user = "ann"}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct relay_redis_url url;
        const char *why = NULL;

        if (!relay_redis_url_parse(cases[i].text, &url, &why)) {
            fail_msg("%s: %s", cases[i].text, why);
        }
        assert_string_equal(why, "");
        assert_int_equal(url.kind, cases[i].url.kind);
        assert_string_equal(url.host, cases[i].url.host);
        assert_string_equal(url.path, cases[i].url.path);
        assert_string_equal(url.user, cases[i].url.user);
        assert_int_equal(url.port, cases[i].url.port);
        assert_int_equal(url.db, cases[i].url.db);
    }
}

static void test_parse_refuses_all_else_and_says_why(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "none of redis://"},
        {"127.0.0.1:6379", "none of redis://"},
        {"http://127.0.0.1", "none of redis://"},
        {"redis:/127.0.0.1", "none of redis://"},
        {"redis://", "no host"},
        {"redis://:6379", "no host"},
        {"redis://::1", "no host"},
        {"redis://a b", "no host"},
        {"redis://h%41", "no host"},
        {"redis://ann:secret@host", "redis_password_file"},
        {"redis://:secret@host", "redis_password_file"},
        {"redis://@host", "user is empty"},
        {"redis://a\tb@host", "printable"},
        {"redis://host:", "the port"},
        {"redis://host:0", "the port"},
        {"redis://host:65536", "the port"},
        {"redis://host:6379x", "the port"},
        {"redis://host:-1", "the port"},
        {"redis://host:0000000001", "the port"},
        {"redis://host/x", "the database"},
        {"redis://host/65536", "the database"},
        {"redis://host/1/2", "the database"},
        {"redis://[::1", "not closed"},
        {"redis://[127.0.0.1]", "no IPv6 address"},
        {"redis://[IPv6:::1]", "no IPv6 address"},
        {"redis://[::1]x", "after the bracket"},
        {"redis://[::1]:", "the port"},
        {"unix:run/redis.sock", "absolute path"},
        {"unix:/", "absolute path"},
        {"unix://run/redis.sock?", "absolute path"},
        {"unix:/s?", "only db="},
        {"unix:/s?db=", "the database"},
        {"unix:/s?db=1&", "only db="},
        {"unix:/s?password=x", "only db="},
        {"unix:/s?user=", "user is empty"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct relay_redis_url url;
        const char *why = "";

        if (relay_redis_url_parse(cases[i].text, &url, &why) || strstr(why, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].text, why);
        }
    }
}

/* What is longer than its place is refused, and not cut. */
static void test_parse_refuses_what_is_too_long(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        int most;
    } cases[] = {
        {"redis://", "", RELAY_REDIS_HOST_MAX},
        {"redis://", "@host", RELAY_REDIS_USER_MAX},
        {"unix:/", "", RELAY_REDIS_PATH_MAX - 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char name[1024];
        char text[2048];
        struct relay_redis_url url;
        const char *why;

        memset(name, 'a', sizeof(name));
        for (int more = 0; more < 2; more++) {
            (void)snprintf(text, sizeof(text), "%s%.*s%s", cases[i].before, cases[i].most + more,
                           name, cases[i].after);
            assert_int_equal(relay_redis_url_parse(text, &url, &why), more == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_takes_what_the_manual_says),
        cmocka_unit_test(test_parse_refuses_all_else_and_says_why),
        cmocka_unit_test(test_parse_refuses_what_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
