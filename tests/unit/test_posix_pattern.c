/* SPDX-License-Identifier: GPL-3.0-or-later */
/* regcomp() and regexec() are the judge: what Sendmail itself uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/table/pattern.h"
#include "lib/table/posix_pattern.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RANDOM_PATTERNS 20000u
#define RANDOM_SUBJECTS 12u

static const char *const subjects[] = {
    "",       "a",    "b",    "aa",        "ab",        "ba",  "aaa", "abab", "2312343",
    "12a",    "a.b",  "a\\b", "[a]",       "a b",       "*",   "a*",  "+",    "a+",
    "?",      "{",    "a{1}", "a{2}",      "|",         "a|b", "(a)", "^a",   "a$",
    "a^b",    "$",    "A",    "Ab_1",      "-",         "a-z", "]",   "a]",   "foo bar",
    "foobar", "foo",  "word", "two words", "\\",        "a\\", "#",   "a#b",  "{1,2}",
    "aXb",    "abba", "aba",  "user@host", "[1.2.3.4]", "}",   "a}",  ",",    "(",
};

/* What the translation does not see is seen when it is compiled. */
static bool compiles(const char *translated, struct strbuf *why)
{
    struct pattern_engine *engine = pattern_engine_new();
    struct pattern *pattern = pattern_compile(engine, translated, strlen(translated), 0, why);
    bool is_right = pattern != NULL;

    pattern_free(&pattern);
    pattern_engine_free(&engine);
    return is_right;
}

static bool matches(const char *translated, const char *subject)
{
    struct pattern_engine *engine = pattern_engine_new();
    struct strbuf why;
    const char *failure;

    strbuf_init(&why);
    struct pattern *pattern = pattern_compile(
        engine, translated, strlen(translated),
        PATTERN_DOTALL | PATTERN_DOLLAR_ENDONLY | PATTERN_CASELESS, &why);

    if (pattern == NULL) {
        fail_msg("\"%s\": %s", translated, why.data);
    }
    struct pattern_scratch *scratch = pattern_scratch_get(engine);
    enum pattern_result result = pattern_match(pattern, scratch, subject, strlen(subject),
                                               &failure);

    assert_int_not_equal(result, PATTERN_FAILED);
    pattern_scratch_put(engine, &scratch);
    pattern_free(&pattern);
    pattern_engine_free(&engine);
    strbuf_fini(&why);
    return result == PATTERN_MATCH;
}

/* Both must take the pattern or refuse it, and then match alike. Returns whether it was taken. */
static bool compare(const char *text, bool basic, const char *const *against, size_t count)
{
    regex_t compiled;
    struct strbuf out;
    struct strbuf why;

    strbuf_init(&out);
    strbuf_init(&why);
    bool is_right = regcomp(&compiled, text, REG_ICASE | REG_NOSUB | (basic ? 0 : REG_EXTENDED)) ==
                    0;
    bool is_translated = posix_pattern_translate(text, basic, &out, &why) &&
                         compiles(out.data, &why);

    if (is_right != is_translated) {
        fail_msg("%s \"%s\": regcomp() %s it; translated \"%s\", why \"%s\"",
                 basic ? "basic" : "extended", text, is_right ? "takes" : "refuses", out.data,
                 why.data);
    }
    assert_int_equal(is_translated, why.len == 0);
    for (size_t i = 0; is_right && i < count; i++) {
        bool expected = regexec(&compiled, against[i], 0, NULL, 0) == 0;

        if (matches(out.data, against[i]) != expected) {
            fail_msg("%s \"%s\" (translated \"%s\") should %s \"%s\"", basic ? "basic" : "extended",
                     text, out.data, expected ? "match" : "not match", against[i]);
        }
    }
    if (is_right) {
        regfree(&compiled);
    }
    strbuf_fini(&out);
    strbuf_fini(&why);
    return is_right;
}

static const char *const written[] = {
    "",
    "^[0-9]+$",
    "^a*$",
    "a|b",
    "^(a|b)*$",
    "a{2}",
    "a{2,}",
    "a{,2}b",
    "a{1,2}{2}",
    "a**",
    "a*+",
    "a+?",
    "(a*)*",
    "a?*b",
    "*a",
    "^*a",
    "a|*b",
    "(*a)",
    "+a",
    "?",
    "{1}",
    "a{",
    "a{1",
    "a{1,",
    "a{2,1}",
    "a{x}",
    "a\\{1\\}",
    "a\\{1,2\\}b",
    "\\{1\\}",
    "\\(a\\)",
    "\\(ab\\)*",
    "\\(*a\\)",
    "\\(^a\\)",
    "a\\|b",
    "\\|b",
    "a\\|*b",
    "a\\+",
    "a\\?b",
    "\\+a",
    "(",
    ")",
    "a)",
    "(a",
    "\\(a",
    "a\\)",
    "()",
    "(|a)",
    "a||b",
    "[]a]",
    "[^]a]",
    "[a",
    "[",
    "[]",
    "[\\]",
    "[\\.]",
    "[a\\]]",
    "[a-]",
    "[-a]",
    "[a-c]",
    "[c-a]",
    "[[:alpha:]]",
    "[^[:alpha:]]",
    "[[:alpha:][:digit:]_]",
    "[[:bad:]]",
    "[[.a.]]",
    "[[.a.]-c]",
    "[[.-.]]",
    "[[=a=]]",
    "[*^$]",
    "[$]",
    "[(]",
    "[a^]",
    "[[]",
    "[[a]",
    ".",
    "^.$",
    "a.b",
    "a\\.b",
    "\\",
    "a\\",
    "\\w",
    "^\\w+$",
    "\\W",
    "^\\s",
    "\\S",
    "\\bword",
    "\\<foo\\>",
    "foo\\>",
    "\\<bar",
    "\\Bbar",
    "\\`a",
    "b\\'",
    "a\\$",
    "\\^a",
    "a^b",
    "a$b",
    "^^a",
    "a$$",
    "(^a)",
    "(a$)",
    "x|^a$",
    "\\(a$\\)",
    "\\(a\\)\\1",
    "(a)\\1",
    "(.)(.)\\2\\1",
    "\\(.\\)\\(.\\)\\2\\1",
    "}",
    "a}",
    "]",
    "#",
    "a #b",
    "(?:a)",
    "(?i)a",
    "a(?=b)",
    "a-z",
    "\\-",
    "\\/",
    "a\\{,2\\}b",
    "\\*",
    "*",
    "**",
    "^*",
    "\\(*\\)",
    "\\(^*\\)",
    "~!@%&=:;\"'<>,`",
};

static void test_written_patterns(void **state)
{
    size_t taken = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(written); i++) {
        taken += compare(written[i], false, subjects, COUNT(subjects));
        taken += compare(written[i], true, subjects, COUNT(subjects));
    }
    assert_true(taken > COUNT(written));
}

static unsigned roll(unsigned *seed, unsigned sides)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % sides;
}

static void test_random_patterns(void **state)
{
    static const char *const pieces[] = {
        "a",        "b",           "1",     ".",      "*",    "+",    "?",     "^",    "$",
        "(",        ")",           "|",     "\\(",    "\\)",  "\\|",  "\\+",   "\\?",  "\\{1\\}",
        "\\{,2\\}", "{2}",         "{1,2}", "{,1}",   "[ab]", "[^a]", "[a-c]", "[]b]", "[\\a]",
        "\\w",      "\\W",         "\\b",   "\\<",    "\\>",  "\\.",  "-",     "]",    "}",
        "\\*",      "[[:digit:]]", "_",     "[^]1-]", " ",    "\\s",  "a",     "b",
    };
    unsigned seed = 4;
    size_t taken = 0;

    (void)state;
    for (unsigned i = 0; i < RANDOM_PATTERNS; i++) {
        const char *chosen[RANDOM_SUBJECTS];
        char text[128] = "";

        for (unsigned n = 1 + roll(&seed, 7); n > 0; n--) {
            size_t len = strlen(text);

            snprintf(text + len, sizeof(text) - len, "%s", pieces[roll(&seed, COUNT(pieces))]);
        }
        for (size_t j = 0; j < RANDOM_SUBJECTS; j++) {
            chosen[j] = subjects[roll(&seed, COUNT(subjects))];
        }
        taken += compare(text, roll(&seed, 2) == 0, chosen, RANDOM_SUBJECTS);
    }
    assert_true(taken > RANDOM_PATTERNS / 3);
}

static void test_escapes_of_other_languages_are_refused(void **state)
{
    static const char *const patterns[] = {"\\d", "\\n", "a\\Qb\\E", "\\x41", "\\0"};

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(patterns); i++) {
        struct strbuf out;
        struct strbuf why;

        strbuf_init(&out);
        strbuf_init(&why);
        assert_false(posix_pattern_translate(patterns[i / 2], i % 2 == 0, &out, &why));
        assert_non_null(strstr(why.data, "means nothing"));
        strbuf_fini(&out);
        strbuf_fini(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_patterns),
        cmocka_unit_test(test_random_patterns),
        cmocka_unit_test(test_escapes_of_other_languages_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
