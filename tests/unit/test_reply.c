/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int make_arena(void **state)
{
    *state = arena_new();
    return 0;
}

static int drop_arena(void **state)
{
    struct arena *arena = *state;

    arena_free(&arena);
    return 0;
}

/* ---- enhanced codes ---- */

static void test_is_dsn_takes_class_subject_detail(void **state)
{
    static const char *const good[] = {"5.7.1", "4.0.0", "2.1.5", "5.71.1", "5.123.456", "4.7.123"};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!reply_is_dsn(good[i], strlen(good[i]))) {
            fail_msg("%s should be an enhanced code", good[i]);
        }
    }
}

static void test_is_dsn_refuses_anything_else(void **state)
{
    static const char *const bad[] = {
        "",      "5",      "5.",       "5.7",      "5.7.",   "3.7.1",   "1.7.1",
        "6.7.1", "0.7.1",  "5..1",     ".7.1",     "5.7.1.", "5.7.1.1", "5.7.x",
        "x.7.1", "5.x.1",  "5.1234.1", "5.7.1234", "55.7.1", "5.7.1 ",  " 5.7.1",
        "5,7,1", "5.-7.1", "5.7.+1",   "5.7.1\t",  "5.7:1",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (reply_is_dsn(bad[i], strlen(bad[i]))) {
            fail_msg("\"%s\" should be no enhanced code", bad[i]);
        }
    }
}

static void test_is_dsn_reads_no_more_than_len(void **state)
{
    (void)state;
    assert_true(reply_is_dsn("5.7.1 text", 5));
    assert_true(reply_is_dsn("5.7.12", 5)); /* the last digit is not part of it */
    assert_false(reply_is_dsn("5.7.1", 4));
    assert_false(reply_is_dsn("5.7.1", 0));
}

/* ---- parsing ---- */

static const struct parse_case {
    const char *text;
    const char *default_dsn;
    const char *expected; /* "CODE DSN text"; NULL: none */
} parse_cases[] = {
    {"550 5.7.1 Access denied", NULL, "550 5.7.1 Access denied"},
    {"550 Access denied", NULL, "550 5.0.0 Access denied"},
    {"450 Later", NULL, "450 4.0.0 Later"},
    {"550 Access denied", "5.2.1", "550 5.2.1 Access denied"},
    {"550 5.7.1 own code wins", "5.2.1", "550 5.7.1 own code wins"},
    {"450 5.7.1 they need not agree", NULL, "450 5.7.1 they need not agree"},
    {"421 4.7.0 Bye", NULL, "421 4.7.0 Bye"},
    {"599 last code", NULL, "599 5.0.0 last code"},
    {"400 first code", NULL, "400 4.0.0 first code"},
    {"  550   5.7.1   blanks between", NULL, "550 5.7.1 blanks between"},
    {"550\t5.7.1\ttabs between", NULL, "550 5.7.1 tabs between"},
    {"550", NULL, "550 5.0.0 "},
    {"550 ", NULL, "550 5.0.0 "},
    {"550 5.7.1", NULL, "550 5.7.1 "},
    {"550 5.7 is text", NULL, "550 5.0.0 5.7 is text"},
    {"550 5.7.1: is text", NULL, "550 5.0.0 5.7.1: is text"},
    {"550 3.7.1 is text", NULL, "550 5.0.0 3.7.1 is text"},
    {"550 100% spam, %s %n", NULL, "550 5.0.0 100% spam, %s %n"},
    {"550 a\r\nb", NULL, "550 5.0.0 a  b"},
    {"", NULL, NULL},
    {"550x no blank", NULL, NULL},
    {"550-5.7.1 no blank", NULL, NULL},
    {"55 two digits", NULL, NULL},
    {"5500 four digits", NULL, NULL},
    {"250 a success", NULL, NULL},
    {"354 go on", NULL, NULL},
    {"600 beyond", NULL, NULL},
    {"050 beyond", NULL, NULL},
    {"+55 sign", NULL, NULL},
    {"Access denied", NULL, NULL},
    {"\"550 quoted\"", NULL, NULL},
};

static void test_parse_each_case(void **state)
{
    struct arena *arena = *state;
    char got[128];

    for (size_t i = 0; i < COUNT(parse_cases); i++) {
        const struct parse_case *c = &parse_cases[i];
        struct reply reply;

        if (!reply_parse(c->text, c->default_dsn, arena, &reply)) {
            if (c->expected != NULL) {
                fail_msg("\"%s\": should be a reply", c->text);
            }
            continue;
        }
        (void)snprintf(got, sizeof(got), "%d %s %s", reply.code, reply.dsn, reply.text);
        if (c->expected == NULL || strcmp(got, c->expected) != 0) {
            fail_msg("\"%s\": got \"%s\"", c->text, got);
        }
    }
}

static void test_parse_keeps_no_pointer_into_its_input(void **state)
{
    struct arena *arena = *state;
    char text[] = "550 5.7.1 gone";
    struct reply reply;

    assert_true(reply_parse(text, NULL, arena, &reply));
    memset(text, 'x', sizeof(text) - 1);
    assert_string_equal(reply.text, "gone");
    assert_string_equal(reply.dsn, "5.7.1");
}

static void test_make_cuts_a_code_that_is_too_long(void **state)
{
    struct reply reply = reply_make(550, "5.1234567.1234567", "text");

    (void)state;
    assert_int_equal(strlen(reply.dsn), REPLY_DSN_SIZE - 1);
}

/* ---- cleaning ---- */

static const struct clean_case {
    const char *name;
    const char *text;
    const char *expected;
} clean_cases[] = {
    {"plain", "Access denied", "Access denied"},
    {"empty", "", ""},
    {"line ends", "a\r\nb\nc\rd", "a  b c d"},
    {"a second reply", "denied\r\n250 OK", "denied  250 OK"},
    {"tab and other controls", "a\tb\001c\033[31md\177e", "a b c [31md e"},
    {"UTF-8", "Gr\303\274\303\237e", "Gr????e"},
    {"Latin-1", "\374ber\377", "?ber?"},
    {"a lone continuation byte", "\200", "?"},
    {"percent signs stay", "100% %s %d %n %%", "100% %s %d %n %%"},
    {"blanks at the end", "text  \t\r\n", "text"},
    {"nothing but blanks", " \t ", ""},
    {"blanks at the beginning stay", "  text", "  text"},
    {"all of ASCII that prints", "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~",
     "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"},
};

static void test_clean_each_case(void **state)
{
    struct arena *arena = *state;

    for (size_t i = 0; i < COUNT(clean_cases); i++) {
        const char *got = reply_clean(arena, clean_cases[i].text);

        if (strcmp(got, clean_cases[i].expected) != 0) {
            fail_msg("%s: got \"%s\"", clean_cases[i].name, got);
        }
    }
}

/* Every byte that a text can hold. */
static void test_clean_leaves_only_printable_ascii(void **state)
{
    struct arena *arena = *state;

    for (int byte = 1; byte < 256; byte++) {
        const char text[] = {'a', (char)byte, 'b', '\0'};
        const char *got = reply_clean(arena, text);

        assert_int_equal(strlen(got), 3);
        if (got[1] < ' ' || got[1] > '~') {
            fail_msg("byte %d became %d", byte, got[1]);
        }
    }
}

static void test_clean_cuts_what_no_reply_line_holds(void **state)
{
    struct arena *arena = *state;
    char text[3 * REPLY_MAX_TEXT];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(strlen(reply_clean(arena, text)), REPLY_MAX_TEXT);
    text[REPLY_MAX_TEXT] = '\0';
    assert_int_equal(strlen(reply_clean(arena, text)), REPLY_MAX_TEXT);
    text[REPLY_MAX_TEXT - 1] = '\0';
    assert_int_equal(strlen(reply_clean(arena, text)), REPLY_MAX_TEXT - 1);
}

static void test_clean_cuts_between_blanks(void **state)
{
    struct arena *arena = *state;
    char text[2 * REPLY_MAX_TEXT];

    memset(text, ' ', sizeof(text));
    text[0] = 'x';
    text[sizeof(text) - 1] = 'y';
    text[sizeof(text) - 1] = '\0';
    assert_string_equal(reply_clean(arena, text), "x");
}

static void test_longest_reply_fits_a_line(void **state)
{
    (void)state;
    /* "550 5.123.123 text\r\n" in the 512 bytes of RFC 5321, 4.5.3.1.5 */
    assert_in_range(strlen("550 5.123.123 ") + REPLY_MAX_TEXT + strlen("\r\n"), 1, 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_dsn_takes_class_subject_detail),
        cmocka_unit_test(test_is_dsn_refuses_anything_else),
        cmocka_unit_test(test_is_dsn_reads_no_more_than_len),
        cmocka_unit_test_setup_teardown(test_parse_each_case, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_parse_keeps_no_pointer_into_its_input, make_arena,
                                        drop_arena),
        cmocka_unit_test(test_make_cuts_a_code_that_is_too_long),
        cmocka_unit_test_setup_teardown(test_clean_each_case, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_clean_leaves_only_printable_ascii, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_clean_cuts_what_no_reply_line_holds, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_clean_cuts_between_blanks, make_arena, drop_arena),
        cmocka_unit_test(test_longest_reply_fits_a_line),
    };

    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
