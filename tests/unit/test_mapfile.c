/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/table_kit.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- lines ---- */

static void test_lines(void **state)
{
    static const struct {
        const char *text;
        const char *messages;
        size_t entries; /* of the map, if there is no error */
    } cases[] = {
        {"", "", 0},
        {"# comment\n\n   \n\t\n#\n", "", 0},
        {"a OK\nb\tREJECT\nc \t x y  \t\n", "", 3},
        {"a OK", "", 1},
        {"a OK\r\nb OK\r\n", "1 warning: lines end in CR LF\n", 2},
        {"\xef\xbb\xbf"
         "a OK\n",
         "", 1},
        {"a\n", "1 error: \"a\" has no right-hand side\n", 0},
        {"a   \nb\t\n",
         "1 error: \"a\" has no right-hand side\n2 error: \"b\" has no right-hand side\n", 0},
        {"a OK\n b OK\n\tc OK\n",
         "2 error: the line begins with a blank\n3 error: the line begins with a blank\n", 0},
        {"a OK\nA REJECT\nb OK\na OK\n",
         "2 warning: \"A\" is there already, in line 1\n"
         "4 warning: \"a\" is there already, in line 1\n",
         2},
        {"192.0.2 OK\n192.0.2.0/24 REJECT\n",
         "2 warning: \"192.0.2.0/24\" is there already, in line 1\n", 1},
        {"a OK\nbad OK\na OK\n", "2 error: bad key\n3 warning: \"a\" is there already, in line 1\n",
         0},
        {"bad OK\nbad OK\nx OK\n", "1 error: bad key\n2 error: bad key\n", 0},
        {"nothing OK\nx OK\n", "", 1},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        bool errors = strstr(cases[i].messages, " error: ") != NULL;

        assert_int_equal(kit_build(kit, cases[i].text), errors ? STATUS_INVALID : STATUS_OK);
        assert_string_equal(kit->messages.data, cases[i].messages);
        if (!errors) {
            assert_int_equal(kit->result.entries, cases[i].entries);
        }
    }
}

static void test_nul_bytes_are_errors(void **state)
{
    static const char text[] = "a OK\nb\0c OK\nd \0\n\0\n";
    struct kit *kit = *state;

    assert_int_equal(kit_build_as(kit, text, sizeof(text) - 1, &kit_format), STATUS_INVALID);
    assert_string_equal(kit->messages.data, "2 error: the line holds a NUL byte\n"
                                            "3 error: the line holds a NUL byte\n"
                                            "4 error: the line holds a NUL byte\n");
    assert_int_equal(kit_files(kit), 1);
}

/* A line of `len` bytes: `x`, a blank, and v's. */
static void append_line(struct strbuf *text, size_t len)
{
    strbuf_append(text, "x ");
    for (size_t i = 2; i < len; i++) {
        strbuf_append_char(text, 'v');
    }
}

static void test_long_lines(void **state)
{
    static const struct {
        size_t len;
        const char *end;
        bool accepted;
    } cases[] = {
        {MAPFILE_MAX_LINE, "\n", true},
        {MAPFILE_MAX_LINE, "", true},
        {MAPFILE_MAX_LINE, "\r\n", true},
        {MAPFILE_MAX_LINE + 1, "\n", false},
        {MAPFILE_MAX_LINE + 1, "\r\n", false},
        {MAPFILE_MAX_LINE + 1, "", false},
        {MAPFILE_MAX_LINE + 2, "\n", false},
        {65536, "\n", false},
        {300000, "\n", false},
        {300000, "", false},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strbuf text;

        strbuf_init(&text);
        append_line(&text, cases[i].len);
        strbuf_append(&text, cases[i].end);
        if (cases[i].end[0] != '\0') {
            strbuf_append(&text, "bad OK\n"); /* lines behind it keep their number */
        }
        (void)kit_build_as(kit, text.data, text.len, &kit_format);
        assert_int_equal(strstr(kit->messages.data, "1 error: the line is longer") == NULL,
                         cases[i].accepted);
        assert_int_equal(strstr(kit->messages.data, "2 error: bad key") != NULL,
                         cases[i].end[0] != '\0');
        strbuf_fini(&text);
    }
}

static void test_default_value(void **state)
{
    struct kit *kit = *state;
    static const char text[] = "a\nb OK\n c\n";

    assert_int_equal(kit_build_as(kit, text, sizeof(text) - 1, &kit_names_format), STATUS_INVALID);
    assert_int_equal(kit_build_as(kit, text, sizeof(text) - 4, &kit_names_format), STATUS_OK);

    struct table *table = kit_open(kit);

    assert_non_null(table);
    assert_string_equal(kit_find(kit, table, "a"), "REJECT");
    assert_string_equal(kit_find(kit, table, "b"), "OK");
    table_unref(&table);
}

/* More than is sorted in memory at once. The first of equal keys counts, wherever the others stand. */
static void test_long_text(void **state)
{
    struct kit *kit = *state;
    const unsigned keys = 60000;
    struct strbuf text;
    char key[32];
    char expected[32];

    strbuf_init(&text);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < keys; i++) {
            strbuf_appendf(&text, "key%u round %u of key %u %0200u\n", i, round, i, 0);
        }
    }
    assert_true(text.len > 24 << 20);
    kit_write(kit->text, text.data, text.len);
    assert_int_equal(kit_build_as(kit, text.data, text.len, &kit_format), STATUS_OK);
    assert_int_equal(kit->result.entries, keys);
    assert_int_equal(kit->result.duplicates, keys);
    assert_int_equal(strncmp(kit->messages.data,
                             "60001 warning: \"key0\" is there already, in line 1\n"
                             "60002 warning: \"key1\" is there already, in line 2\n",
                             96),
                     0);
    assert_int_equal(kit_files(kit), 2);
    strbuf_fini(&text);

    struct table *table = kit_open(kit);

    assert_non_null(table);
    for (unsigned i = 0; i < keys; i++) {
        (void)snprintf(key, sizeof(key), "key%u", i);
        int len = snprintf(expected, sizeof(expected), "round 0 of key %u ", i);
        const char *value = kit_find(kit, table, key);

        assert_non_null(value);
        assert_int_equal(strncmp(value, expected, (size_t)len), 0);
        arena_reset(kit->arena);
    }
    table_unref(&table);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines),      TEST(test_nul_bytes_are_errors),
        TEST(test_long_lines), TEST(test_default_value),
        TEST(test_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
