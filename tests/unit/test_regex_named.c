/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/table/regex_named.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As `sendmail -bt` answers "/map NAME SUBJECT"; there the default delimiter is the code of `$|`, and -S is for the tokens of rules. */
static void test_what_a_map_gives(void **state)
{
    static const struct {
        const char *options;
        const char *subject;
        const char *value; /* NULL: no match */
    } cases[] = {
        /* the guide's */
        {"-a@MATCH ^[0-9]+$", "2312343", "@MATCH"},
        {"-a@MATCH ^[0-9]+$", "2312343a", NULL},
        {"-a@MATCH ^[0-9]+$", "", NULL},
        {"^[0-9]+$", "1", ""},
        /* case */
        {"abc", "xABCx", ""},
        {"-f abc", "xABCx", NULL},
        {"-f abc", "xabcx", ""},
        /* basic and extended */
        {"a+", "a", ""},
        {"-b a+", "a", NULL},
        {"-b a+", "a+", ""},
        {"-b \\(a\\)\\1", "aa", ""},
        /* substrings */
        {"-s (a)(b)?(c)", "xabcx", "abc$|a$|b$|c"},
        {"-s (a)(b)?(c)", "ac", "ac$|a$|$|c"},
        {"-s1,3 -d: (a)(b)?(c)", "ABC", "A:C"},
        {"-s3,1,0 -d/- (a)(b)?(c)", "abc", "c/-a/-abc"},
        {"-s2 -d -atail (a)(b)?(c)", "abc", "btail"},
        {"-s1,2,3 -d (a)(b)?(c)", "abc", "abc"},
        {"-s, -d. (a)", "xa", "a.a"},
        /* match only */
        {"-m b", "abc", "abc"},
        {"-m -a.x b", "abc", "abc.x"},
        {"-m -s1 (b)", "abc", "abc"},
        /* not */
        {"-n -aNO b", "abc", NULL},
        {"-n -aNO b", "acc", "NO"},
        {"-n -m b", "acc", "acc"},
        {"-n -s (b)", "acc", ""},
        /* blanks */
        {"-S_ a_b", "a b", ""},
        {"a_b", "a b", NULL},
        {"-S. -m ^a.b$", "a b", "a.b"},
        {"a b", "a b", ""},
        /* no meaning here */
        {"-D -Ttemp -q a", "a", ""},
        /* several in one word: Sendmail takes the first letter alone */
        {"-fb a+", "aa", ""},
        {"-n -n a", "a", NULL},
        {"-aone -atwo a", "a", "two"},
        /* the language of sendmail.cf */
        {"^a$$", "a", ""},
        {"^a\\.b$", "a.b", ""},
        {"(a$$|b)c? # not this", "xa", ""},
        {"a\\#b", "a#b", ""},
        {"a#b", "a", ""},
        {"", "anything", ""},
        {"^$", "", ""},
        /* an end of line inside is no end */
        {"^b", "a\nb", NULL},
        {"a$", "a\n", NULL},
        {"a.b", "a\nb", ""},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pattern_engine *engine = pattern_engine_new();
        struct regex_named named;
        struct strbuf why;
        const char *value = NULL;

        strbuf_init(&why);
        if (!regex_named_parse(cases[i].options, engine, arena, &named, &why)) {
            fail_msg("\"%s\": %s", cases[i].options, why.data);
        }
        struct pattern_scratch *scratch = pattern_scratch_get(engine);
        enum status status = regex_named_find(&named, scratch, cases[i].subject,
                                              strlen(cases[i].subject), arena, &value);

        assert_true(status == STATUS_OK || status == STATUS_NOTFOUND);
        if ((status == STATUS_OK) != (cases[i].value != NULL) ||
            (status == STATUS_OK && strcmp(value, cases[i].value) != 0)) {
            fail_msg("\"%s\" gives \"%s\" for \"%s\"", cases[i].options,
                     status == STATUS_OK ? value : "(nothing)", cases[i].subject);
        }
        pattern_scratch_put(engine, &scratch);
        pattern_free(&named.pattern);
        pattern_engine_free(&engine);
        strbuf_fini(&why);
    }
    arena_free(&arena);
}

static void test_what_is_wrong(void **state)
{
    static const struct {
        const char *options;
        const char *why;
    } cases[] = {
        {"-x a", "-x is no option of a regex map; these are -n -f -b -s -d -a -m -S -D -T -q"},
        {"- a", "no letter follows the - of an option"},
        {"-s2 (a)", "-s asks for group 2, but the pattern has 1"},
        {"-s1x (a)", "-s is followed by the numbers of groups: -s1,3"},
        {"-s0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 a",
         "-s names too many groups"},
        {"-s ()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()",
         "the pattern has too many groups for -s"},
        {"(a", "a group is not closed"},
        {"a$|b", "in a K line `$` begins a macro of Sendmail, which is not known here; a dollar "
                 "sign itself is `$$`"},
        {"-b \\(a\\)\\2", "reference to non-existent subpattern"},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pattern_engine *engine = pattern_engine_new();
        struct regex_named named;
        struct strbuf why;

        strbuf_init(&why);
        assert_false(regex_named_parse(cases[i].options, engine, arena, &named, &why));
        if (strncmp(why.data, cases[i].why, strlen(cases[i].why)) != 0) {
            fail_msg("\"%s\": %s", cases[i].options, why.data);
        }
        assert_null(named.pattern);
        pattern_engine_free(&engine);
        strbuf_fini(&why);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_map_gives),
        cmocka_unit_test(test_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
