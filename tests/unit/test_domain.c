/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_parent_walks_to_the_last_label(void **state)
{
    static const struct {
        const char *name;
        const char *parent; /* NULL: none */
    } cases[] = {
        {"a.b.test", "b.test"}, {"b.test", "test"}, {"test", NULL}, {"", NULL},
        {"test.", NULL},        {".", NULL},        {"a.", NULL},   {".b.test", "test"},
        {"a..test", ".test"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *parent = domain_parent(cases[i].name);

        if (cases[i].parent == NULL ? parent != NULL
                                    : parent == NULL || strcmp(parent, cases[i].parent) != 0) {
            fail_msg("parent of \"%s\": \"%s\"", cases[i].name, parent == NULL ? "-" : parent);
        }
    }
}

static void test_parent_ends_for_every_name(void **state)
{
    static const char *const names[] = {"....", "a....b", ".a.b.", "...a"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t steps = 0;

        for (const char *at = names[i]; at != NULL; at = domain_parent(at)) {
            assert_in_range(steps++, 0, strlen(names[i]));
        }
    }
}

static void test_is_literal_asks_for_both_brackets(void **state)
{
    (void)state;
    assert_true(domain_is_literal("[192.0.2.1]"));
    assert_true(domain_is_literal("[]"));
    assert_true(domain_is_literal("[IPv6:2001:db8::1]"));
    assert_false(domain_is_literal("[192.0.2.1"));
    assert_false(domain_is_literal("192.0.2.1]"));
    assert_false(domain_is_literal("a.test"));
    assert_false(domain_is_literal("["));
    assert_false(domain_is_literal(""));
}

static void test_equal_ignores_case_of_ascii(void **state)
{
    (void)state;
    assert_true(domain_equal("A.Test", "a.tEST"));
    assert_true(domain_equal("", ""));
    assert_false(domain_equal("a.test", "a.test."));
    assert_false(domain_equal("a.test", "b.test"));
    assert_false(domain_equal("a", ""));
}

static void test_ends_in_is_about_text_not_labels(void **state)
{
    (void)state;
    assert_true(domain_ends_in("a.b.test", "B.TEST"));
    assert_true(domain_ends_in("ab.test", "b.test"));
    assert_true(domain_ends_in("test", ""));
    assert_true(domain_ends_in("test", "test"));
    assert_false(domain_ends_in("test", "b.test"));
    assert_false(domain_ends_in("b.test.", "b.test"));
}

/* Sendmail's OperatorChars and its own. */
static void test_is_operator_for_each_byte(void **state)
{
    static const char operators[] = ".:%@!^/[]+()<>,;";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool expected = byte != 0 && strchr(operators, byte) != NULL;

        if (domain_is_operator((char)byte) != expected) {
            fail_msg("byte %d", byte);
        }
    }
}

static void test_next_token_stops_at_each_token(void **state)
{
    static const char *const expected[] = {".b.test", "b.test", ".test", "test"};
    size_t i = 0;

    (void)state;
    for (const char *at = domain_next_token("a.b.test"); at != NULL; at = domain_next_token(at)) {
        assert_in_range(i, 0, COUNT(expected) - 1);
        assert_string_equal(at, expected[i++]);
    }
    assert_int_equal(i, COUNT(expected));
}

static void test_next_token_of_edges(void **state)
{
    (void)state;
    assert_null(domain_next_token(""));
    assert_null(domain_next_token("test"));
    assert_null(domain_next_token("."));
    assert_string_equal(domain_next_token("test."), ".");
    assert_string_equal(domain_next_token("..x"), ".x");
    assert_string_equal(domain_next_token("[10.1]"), "10.1]");
}

static void test_normalize_folds_and_cuts_trailing_dots(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(domain_normalize(arena, "A.B.Test."), "a.b.test");
    assert_string_equal(domain_normalize(arena, "test..."), "test");
    assert_string_equal(domain_normalize(arena, "..."), "");
    assert_string_equal(domain_normalize(arena, ""), "");
    assert_string_equal(domain_normalize(arena, ".Test"), ".test");
    arena_free(&arena);
}

static void test_normalize_copies(void **state)
{
    struct arena *arena = arena_new();
    char name[] = "A.TEST.";
    const char *copy = domain_normalize(arena, name);

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    assert_string_equal(copy, "a.test");
    arena_free(&arena);
}

/* Bytes over 127 are not ASCII letters: no locale may change them. */
static void test_fold_changes_nothing_but_capital_letters(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char text[] = {(char)byte, '\0'};
        int expected = byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;

        domain_fold(text);
        assert_int_equal((unsigned char)text[0], expected);
    }
}

static void test_is_plain(void **state)
{
    static const char *const plain[] = {"a.test", "a", "A-b_c.d3.test", "m\xc3\xbc.test",
                                        "3com.test"};
    static const char *const others[] = {
        "",         ".",          ".a.test",   "a.test.",   "a..test",   "a.test ",
        " a.test",  "a b.test",   "a@b.test",  "a%b.test",  "a!b.test",  "[a.test]",
        "a:b.test", "a/b.test",   "a,b.test",  "1.2.3.4",   "1.2.3",     "10",
        "a.test.7", "\"a.test\"", "a\\b.test", "a\tb.test", "a(b).test",
    };
    char longest[DOMAIN_MAX_LEN + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        assert_true(domain_is_plain(plain[i]));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (domain_is_plain(others[i])) {
            fail_msg("\"%s\" is plain", others[i]);
        }
    }
    memset(longest, 'a', sizeof(longest));
    longest[DOMAIN_MAX_LEN + 1] = '\0';
    assert_false(domain_is_plain(longest));
    longest[DOMAIN_MAX_LEN] = '\0';
    assert_true(domain_is_plain(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_plain),
        cmocka_unit_test(test_parent_walks_to_the_last_label),
        cmocka_unit_test(test_parent_ends_for_every_name),
        cmocka_unit_test(test_is_literal_asks_for_both_brackets),
        cmocka_unit_test(test_equal_ignores_case_of_ascii),
        cmocka_unit_test(test_ends_in_is_about_text_not_labels),
        cmocka_unit_test(test_is_operator_for_each_byte),
        cmocka_unit_test(test_next_token_stops_at_each_token),
        cmocka_unit_test(test_next_token_of_edges),
        cmocka_unit_test(test_normalize_folds_and_cuts_trailing_dots),
        cmocka_unit_test(test_normalize_copies),
        cmocka_unit_test(test_fold_changes_nothing_but_capital_letters),
    };

    return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
