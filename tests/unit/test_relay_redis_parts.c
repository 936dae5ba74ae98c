/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parts of the Redis back end that need no server: the state, keys, commands, and the password file. */
#include "lib/relay/relay_redis_command.h"
#include "lib/relay/relay_redis_news.h"
#include "lib/relay/relay_redis_password.h"
#include "lib/relay/relay_redis_server.h"
#include "lib/relay/relay_redis_state.h"
#include "tests/unit/relay_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- state ---- */

static void test_state_has_each_length_once_longest_first(void **state)
{
    struct relay_redis_state parsed;

    (void)state;
    assert_true(relay_redis_state_parse("0", 1, &parsed));
    assert_string_equal(parsed.generation, "0");
    assert_int_equal(parsed.count, 0);
    assert_true(relay_redis_state_parse("17 64 48 127 64", 15, &parsed));
    assert_string_equal(parsed.generation, "17");
    assert_int_equal(parsed.count, 3);
    assert_int_equal(parsed.lengths[0], 127);
    assert_int_equal(parsed.lengths[1], 64);
    assert_int_equal(parsed.lengths[2], 48);
}

/* All that there are, twice. */
static void test_state_has_room_for_all_lengths(void **state)
{
    struct relay_redis_state parsed;
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    strbuf_append(&text, "1");
    for (unsigned bits = RELAY_MIN_PREFIX; bits < 128; bits++) {
        strbuf_appendf(&text, " %u", bits);
    }
    strbuf_append(&text, " 48 127 99");
    assert_true(relay_redis_state_parse(text.data, text.len, &parsed));
    assert_int_equal(parsed.count, RELAY_REDIS_LENGTHS_MAX);
    for (size_t i = 0; i < parsed.count; i++) {
        assert_int_equal(parsed.lengths[i], 127 - i);
    }
    strbuf_fini(&text);
}

static void test_state_of_others_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "x",
        "-1",
        "1 ",
        "1  64",
        "1 47",
        "1 128",
        "1 64x",
        "1x",
        "1 1000",
        "1 -64",
        "1234567890123456",
    };
    struct relay_redis_state parsed;
    char longest[RELAY_REDIS_STATE_MAX + 8];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (relay_redis_state_parse(texts[i], strlen(texts[i]), &parsed)) {
            fail_msg("\"%s\"", texts[i]);
        }
    }
    assert_false(relay_redis_state_parse("1\0 64", 5, &parsed));
    memset(longest, 0, sizeof(longest));
    for (size_t i = 0; i + 4 < sizeof(longest); i += 3) {
        memcpy(longest + i, i == 0 ? "1 6" : "4 6", 3);
    }
    assert_false(relay_redis_state_parse(longest, strlen(longest), &parsed));
}

static void test_keys_name_generation_and_address(void **state)
{
    struct netaddr addr = kit_address("2001:db8::/64");
    struct relay_redis_state parsed;
    struct strbuf key;

    (void)state;
    strbuf_init(&key);
    relay_redis_state_init(&parsed);
    relay_redis_state_key(&parsed, &addr, &key);
    assert_string_equal(key.data, "relay:2001:db8::/64");
    assert_true(relay_redis_state_parse("12 64", 5, &parsed));
    strbuf_reset(&key);
    relay_redis_state_key(&parsed, &addr, &key);
    assert_string_equal(key.data, "relay.12:2001:db8::/64");
    strbuf_fini(&key);
}

/* ---- commands ---- */

/* Whatever is in an argument stays in it. */
static void test_command_carries_any_bytes(void **state)
{
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    relay_redis_command_begin(&text, 12);
    relay_redis_command_text(&text, "SET");
    relay_redis_command_add(&text, "a\r\nFLUSHALL\r\n\0", 14);
    relay_redis_command_text(&text, "");
    relay_redis_command_number(&text, -9223372036854775807);
    const char expected[] = "*12\r\n$3\r\nSET\r\n$14\r\na\r\nFLUSHALL\r\n\0\r\n$0\r\n\r\n$20\r\n"
                            "-9223372036854775807\r\n";

    assert_int_equal(text.len, sizeof(expected) - 1);
    assert_memory_equal(text.data, expected, sizeof(expected));
    strbuf_fini(&text);
}

static void test_errors_that_mean_the_server_is_of_no_use(void **state)
{
    static const char *const lost[] = {
        "LOADING Redis is loading the dataset in memory",
        "NOAUTH Authentication required.",
        "READONLY You can't write against a read only replica.",
        "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
        "MOVED 3999 127.0.0.1:6381",
    };
    static const char *const kept[] = {
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Errors writing to the AOF file",
        "ERR unknown command 'LOADING'",
        "WRONGTYPE Operation against a key",
        "ERR READONLYX",
        "",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lost); i++) {
        assert_true(relay_redis_server_is_lost(lost[i]));
    }
    for (size_t i = 0; i < COUNT(kept); i++) {
        assert_false(relay_redis_server_is_lost(kept[i]));
    }
}

/* ---- the password ---- */

static bool read_password(struct kit *kit, const char *bytes, size_t len, mode_t mode)
{
    char path[KIT_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%.200s/password", kit->folder);
    (void)unlink(path);
    kit_write(path, bytes, len);
    assert_int_equal(chmod(path, mode), 0);
    strbuf_reset(&kit->why);
    strbuf_reset(&kit->text);
    bool done = relay_redis_password_read(path, &kit->text, &kit->why);

    assert_true(done || strncmp(kit->why.data, path, strlen(path)) == 0);
    return done;
}

static void test_password_is_the_first_line_of_a_private_file(void **state)
{
    static char longest[RELAY_REDIS_PASSWORD_MAX + 2];
    struct kit *kit = *state;

    assert_true(read_password(kit, "secret", 6, 0600));
    assert_string_equal(kit->text.data, "secret");
    assert_true(read_password(kit, " a b \r\nmore\n", 12, 0440));
    assert_string_equal(kit->text.data, " a b ");
    assert_false(read_password(kit, "", 0, 0600));
    assert_false(read_password(kit, "\nsecret\n", 8, 0600));
    assert_false(read_password(kit, "secret\n", 7, 0644));
    assert_false(read_password(kit, "secret\n", 7, 0620));
    assert_null(strstr(kit->why.data, "secret"));
    memset(longest, 'x', sizeof(longest));
    assert_true(read_password(kit, longest, RELAY_REDIS_PASSWORD_MAX, 0600));
    assert_false(read_password(kit, longest, RELAY_REDIS_PASSWORD_MAX + 1, 0600));
}

static void test_log_hears_of_a_loss_and_of_another_reason_that_lasts(void **state)
{
    struct relay_redis_news news = {.server = "redis://x"};

    (void)state;
    assert_true(relay_redis_news_is_due(&news, "it ended the connection", true, 1000));
    assert_false(relay_redis_news_is_due(&news, "Connection refused", false, 1001));
    assert_false(relay_redis_news_is_due(&news, "it ended the connection", false, 99000));
    assert_true(relay_redis_news_is_due(&news, "NOAUTH", false, 1000 + RELAY_REDIS_NEWS_MS));
    assert_false(relay_redis_news_is_due(&news, "NOAUTH", false, 99000));
    assert_false(
        relay_redis_news_is_due(&news, "Connection refused", false, 1001 + RELAY_REDIS_NEWS_MS));
    /* After a return it is a loss again. */
    assert_true(relay_redis_news_is_due(&news, "NOAUTH", true, 1002 + RELAY_REDIS_NEWS_MS));
}

/* A file that is none must not hold up the daemon. */
static void test_password_of_what_is_no_file(void **state)
{
    struct kit *kit = *state;
    char path[KIT_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%.200s/pipe", kit->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(relay_redis_password_read(path, &kit->text, &kit->why));
    assert_false(relay_redis_password_read(kit->folder, &kit->text, &kit->why));
    (void)snprintf(path, sizeof(path), "%.200s/none", kit->folder);
    assert_false(relay_redis_password_read(path, &kit->text, &kit->why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_has_each_length_once_longest_first),
        cmocka_unit_test(test_state_has_room_for_all_lengths),
        cmocka_unit_test(test_state_of_others_is_none),
        cmocka_unit_test(test_keys_name_generation_and_address),
        cmocka_unit_test(test_command_carries_any_bytes),
        cmocka_unit_test(test_errors_that_mean_the_server_is_of_no_use),
        cmocka_unit_test_setup_teardown(test_password_is_the_first_line_of_a_private_file,
                                        kit_setup, kit_teardown),
        cmocka_unit_test(test_log_hears_of_a_loss_and_of_another_reason_that_lasts),
        cmocka_unit_test_setup_teardown(test_password_of_what_is_no_file, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_parts", tests, NULL, NULL);
}
