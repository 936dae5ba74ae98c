/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/table/pattern.h"
#include "lib/table/pattern_lint.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_patterns_that_explode(void **state)
{
    static const struct {
        const char *pattern;
        const char *part;
    } cases[] = {
        {"^(a+)+$", "(a+)+"},
        {"(a*)*b", "(a*)*"},
        {"^(.*)*x", "(.*)*"},
        {"(a|a)*b", "(a|a)*"},
        {"(a|ab|b)*c", "(a|ab|b)*"},
        {"([a-z]+)*!", "([a-z]+)*"},
        {"^Subject: (\\w+\\s?)*$", "(\\w+\\s?)*"},
        {"^(\\s*\\w+\\s*)*;", "(\\s*\\w+\\s*)*"},
        {"x(?:y(?:(?<n>.+,)*)z)", "(?<n>.+,)*"},
        {"(a{1,30}){1,30}b", "(a{1,30}){1,30}"},
        {"(A+a?)+b", "(A+a?)+"},
        {"((ab)+)+c", "((ab)+)+"},
        {"(([^,]|x)*,)*y", "([^,]|x)*"},
        {"(x\\.?)+@", NULL},
        {"(\\d+\\.?)+@", "(\\d+\\.?)+"},
        {"(a+)+?b", "(a+)+?"},
        {"(.|\\n)*x", "(.|\\n)*"},
        {"([\\w.-]|-)+@", "([\\w.-]|-)+"},
        {"(a(b|c+)*)*d", NULL},
        {"(a(b+|c+)*)*d", "(b+|c+)*"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strbuf why;

        strbuf_init(&why);
        bool is_bad = pattern_lint(cases[i].pattern, strlen(cases[i].pattern),
                                   PATTERN_DOTALL | PATTERN_CASELESS, &why);
        const char *end = strstr(why.data, " can match the same text in very many ways");

        if (is_bad != (end != NULL)) {
            fail_msg("%s: %s", cases[i].pattern, why.data);
        }
        if (cases[i].part != NULL &&
            (end == NULL || (size_t)(end - why.data) != strlen(cases[i].part) ||
             strncmp(why.data, cases[i].part, strlen(cases[i].part)) != 0)) {
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].pattern, why.data, cases[i].part);
        }
        strbuf_fini(&why);
    }
}

static void test_patterns_that_do_not(void **state)
{
    static const char *const patterns[] = {
        "",
        "a",
        "^a+b*c?$",
        ".*.*.*",
        "^Subject:.*(viagra|cialis)",
        "^([a-z0-9-]+\\.)+example\\.com$",
        "(\\S+\\s+)*x",
        "(?:[^,]*,)*y",
        "(a++)+b",
        "(?>a+)+b",
        "((?>a|a))*b",
        "(a+b)*",
        "(ab|cd)+$",
        "(\\d{1,3}\\.){3}\\d{1,3}",
        "(?:\\d{1,3}[.-])+x",
        "name=\"?(.*)\\.(exe|scr|pif)\"?$",
        "^(?!x)(a|b)*$",
        "(a)\\1+",
        "[(a+)+]",
        "\\(a+\\)+",
        "\\Q(a+)+\\E",
        "(x(y(z)+)*)?",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(patterns); i++) {
        struct strbuf why;

        strbuf_init(&why);
        if (pattern_lint(patterns[i], strlen(patterns[i]), PATTERN_DOTALL | PATTERN_CASELESS,
                         &why)) {
            fail_msg("%s: %s", patterns[i], why.data);
        }
        assert_string_equal(why.data, "");
        strbuf_fini(&why);
    }
}

/* Many positions are looked at or given up, in a time that does not matter. */
static void test_large_patterns(void **state)
{
    struct strbuf pattern;
    struct strbuf why;

    (void)state;
    strbuf_init(&pattern);
    strbuf_init(&why);
    strbuf_append(&pattern, "(a");
    for (unsigned i = 0; i < 3000; i++) {
        strbuf_appendf(&pattern, "|word%u", i);
    }
    strbuf_append(&pattern, ")+x");
    assert_false(pattern_lint(pattern.data, pattern.len, 0, &why));
    strbuf_reset(&pattern);
    strbuf_append(&pattern, "(([^a]");
    for (unsigned i = 0; i < 180; i++) {
        strbuf_appendf(&pattern, "|.");
    }
    strbuf_append(&pattern, ")+");
    strbuf_append(&pattern, "x)+y");
    assert_true(pattern_lint(pattern.data, pattern.len, 0, &why));
    assert_int_equal(strlen("..."), strspn(strstr(why.data, "..."), "."));
    strbuf_fini(&pattern);
    strbuf_fini(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_that_explode),
        cmocka_unit_test(test_patterns_that_do_not),
        cmocka_unit_test(test_large_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
