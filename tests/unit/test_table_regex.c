/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/regex_kit.h"

#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define THREADS 4u
#define ROUNDS 300u

/* A plain pcre_table(5) with what it warns of, and what some subjects find. */
static void test_lines(void **state)
{
    static const struct {
        const char *text;
        const char *messages;
        struct expectation cases[5];
    } tables[] = {
        {"/a/ one\n\n# comment\n  /b/ gone on\n/b/ two\n",
         "",
         {{"a", "one  /b/ gone on"}, {"b", "two"}, {"c", NULL}}},
        {"/a/ one\n# between\n\n   # and this\n\t two  \n/b/\n  three",
         "",
         {{"a", "one\t two"}, {"b", "three"}}},
        {" /a/ one\n two\n/b/ three\n",
         "1 error: the line starts with a blank, but there is none before it to go on with: \"/a/ "
         "one two\"\n",
         {{"a", NULL}, {"b", "three"}}},
        {"/a\n b/ joined", "", {{"a b", "joined"}, {"ab", NULL}}},
        {"/a/ one\r\n/b/ two\r\n", "1 warning: lines end in CR LF\n", {{"a", "one"}, {"b", "two"}}},
        {"|a/b|i x\n,a\\,b, y\n\"q\" z\n(p( w\n!!/dd/ v\n! /./ none",
         "",
         {{"a/b", "x"}, {"a,b", "y"}, {"q", "z"}, {"p", "w"}, {"dd", "v"}}},
        {"\\abc\\ x\n/b/ y",
         "1 error: the pattern has no end, which is its delimiter: \"\\\"\n",
         {{"abc", "y"}}},
        {"/a", "1 error: the pattern has no end, which is its delimiter: \"/\"\n", {{"a", NULL}}},
        {"/a\\", "1 error: the pattern has no end, which is its delimiter: \"/\"\n", {{"a", NULL}}},
        {"!\n! !\n/b/ y",
         "1 error: there is no pattern\n2 error: there is no pattern\n",
         {{"b", "y"}}},
        {"text\n9/a/ x\nifx /a/ y\nendifs\n",
         "1 error: the line is not understood: \"text\"\n2 error: the line is not understood: \"9/a/ "
         "x\"\n3 error: the line is not understood: \"ifx /a/ y\"\n4 error: the line is not "
         "understood: \"endifs\"\n",
         {{"a", NULL}}},
        {"/(/ x\n/b/ y",
         "1 error: missing closing parenthesis at offset 1\n",
         {{"(", NULL}, {"b", "y"}}},
        {"/a/", "1 warning: nothing stands behind the pattern: the result is empty\n", {{"a", ""}}},
        {"/a/\t  x  y \t", "", {{"a", "x  y"}}},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < COUNT(tables); i++) {
        struct table_regex *table = regex_kit_open(kit, &regex_dialect_postfix, tables[i].text);

        assert_string_equal(kit->messages.data, tables[i].messages);
        for (size_t j = 0; j < COUNT(tables[i].cases) && tables[i].cases[j].subject != NULL; j++) {
            regex_kit_expect(kit, table, 0, &tables[i].cases[j], 1);
        }
        table_regex_unref(&table);
        assert_null(table);
    }
}

static void test_flags(void **state)
{
    static const struct {
        const char *rule;
        const char *matches;
        const char *unlike;
    } cases[] = {
        {"/a/ x", "A", "b"},
        {"/a/i x", "a", "A"},
        {"/a/ii x", "A", "b"},
        {"/a.b/ x", "a\nb", "ab"},
        {"/a.b/s x", "axb", "a\nb"},
        {"/^b/m x", "a\nb", "ab"},
        {"/^b/ x", "b", "a\nb"},
        {"/a b/x x", "ab", "a b"},
        {"/b/A x", "ba", "ab"},
        {"/a$/ x", "a\n", "a\n\n"},
        {"/a$/E x", "a", "a\n"},
        {"/^\xe9/ x", "\xe9", "\xc9"},
        {"/^.$/ x", "\xff", "\xc3\xa9"},
    };
    struct kit *kit = *state;
    struct regex_match match;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct table_regex *table = regex_kit_open(kit, &regex_dialect_postfix, cases[i].rule);

        assert_string_equal(kit->messages.data, "");
        if (regex_kit_find(kit, table, 0, cases[i].matches, &match) == NULL ||
            regex_kit_find(kit, table, 0, cases[i].unlike, &match) != NULL) {
            fail_msg("%s", cases[i].rule);
        }
        table_regex_unref(&table);
    }
    struct table_regex *table = regex_kit_open(
        kit, &regex_dialect_postfix, "/(a+)/U <$1>\n/(b+)/ <$1>\n/c/X x\n/d/D x\n/e/iq x\n/f/x#y");

    regex_kit_expect(kit, table, 0,
                     (struct expectation[]){
                         {"aaa", "<a>"}, {"bbb", "<bbb>"}, {"c", "x"}, {"d", NULL}, {"e", NULL}},
                     5);
    assert_string_equal(kit->messages.data, "3 warning: the flag X is ignored: \"X x\"\n"
                                            "4 error: there is no such flag: \"D\"\n"
                                            "5 error: there is no such flag: \"q\"\n"
                                            "6 error: there is no such flag: \"#\"\n");
    table_regex_unref(&table);
}

static void test_results(void **state)
{
    static const struct {
        const char *rule;
        const char *result; /* for "abc"; NULL: the rule is wrong, and `message` says why */
        const char *message;
    } cases[] = {
        {"/(a)(b)?(x)?/ <$1|${2}|$(3)|$1-x>", "<a|b||a-x>", ""},
        {"/a/ $$", "$", ""},
        {"/a/ $$1 $$$$ 5$$", "$1 $$ 5$", ""},
        {"/(a)/ $01 ${001}", "a a", ""},
        {"/(a)/ \\1 \\n %1", "\\1 \\n %1", ""},
        {"!/x/ $$1", "$1", ""},
        {"/(?<n>b)/ $1", "b", ""},
        {"/(?|(x)|(b))(c)/ $1$2", "bc", ""},
        {"/(a)/ $2", NULL,
         "1 error: the result asks for group 2, which the pattern does not have\n"},
        {"/(a)/ $99999999999", NULL,
         "1 error: the result asks for group 99999, which the pattern does not have\n"},
        {"/(a)/ $0", NULL,
         "1 error: `$` is followed by no number of a group, from 1; a dollar sign itself is `$$`\n"},
        {"/(a)/ $1x", NULL,
         "1 error: `$` is followed by no number of a group, from 1; a dollar sign itself is `$$`\n"},
        {"/(a)/ ${name}", NULL,
         "1 error: `$` is followed by no number of a group, from 1; a dollar sign itself is `$$`\n"},
        {"/(a)/ ${{1}}", NULL,
         "1 error: `$` is followed by no number of a group, from 1; a dollar sign itself is `$$`\n"},
        {"/(a)/ x$", NULL, "1 error: no number follows `$`; a dollar sign itself is `$$`\n"},
        {"/(a)/ $ 1", NULL, "1 error: no number follows `$`; a dollar sign itself is `$$`\n"},
        {"/(a)/ ${}", NULL, "1 error: no number follows `$`; a dollar sign itself is `$$`\n"},
        {"/(a)/ ${1", NULL, "1 error: a bracket behind `$` is not closed\n"},
        {"/(a)/ $(1}", NULL, "1 error: a bracket behind `$` is not closed\n"},
        {"!/(x)/ $1", NULL,
         "1 error: the result of a pattern with `!` cannot hold `$`: nothing was matched\n"},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct table_regex *table = regex_kit_open(kit, &regex_dialect_postfix, cases[i].rule);

        assert_string_equal(kit->messages.data, cases[i].message);
        regex_kit_expect(kit, table, 0, &(struct expectation){"abc", cases[i].result}, 1);
        table_regex_unref(&table);
    }
}

static void test_blocks(void **state)
{
    struct kit *kit = *state;
    struct table_regex *table = regex_kit_open(kit, &regex_dialect_postfix,
                                               "if /a/\n"
                                               "/1/ a1\n"
                                               "if !/b/\n"
                                               "/2/ a2 without b\n"
                                               "endif\n"
                                               "IF/c/\n"
                                               "/2/ a2 with c\n"
                                               "ENDIF\n"
                                               "endif\n"
                                               "/2/ other 2\n");

    assert_string_equal(kit->messages.data, "");
    assert_int_equal(table_regex_count(table), 4);
    regex_kit_expect(kit, table, 0,
                     (struct expectation[]){{"a1", "a1"},
                                            {"1", NULL},
                                            {"a2", "a2 without b"},
                                            {"ab2", "other 2"},
                                            {"abc2", "a2 with c"},
                                            {"c2", "other 2"},
                                            {"2", "other 2"}},
                     7);
    table_regex_unref(&table);
}

/* As Postfix: a bad `if` is left out alone, an open one reaches to the end of the file. */
static void test_broken_blocks(void **state)
{
    struct kit *kit = *state;
    struct table_regex *table = regex_kit_open(
        kit, &regex_dialect_postfix,
        "endif\nif /(/\n/1/ one\nendif\nif /a/ text\n/2/ two\nendif x\n"
        "/3/ three\nif /a/\n/4/ four\nif /b/\n/5/ five\n");

    assert_string_equal(kit->messages.data,
                        "1 error: there is no `if` for this `endif`\n"
                        "2 error: missing closing parenthesis at offset 1\n"
                        "4 error: there is no `if` for this `endif`\n"
                        "5 warning: text behind the pattern of an `if` is ignored: \"text\"\n"
                        "7 warning: text behind `endif` is ignored: \"x\"\n"
                        "11 error: there is no `endif` for this `if`\n"
                        "9 error: there is no `endif` for this `if`\n");
    regex_kit_expect(kit, table, 0,
                     (struct expectation[]){{"1", "one"},
                                            {"2", NULL},
                                            {"a2", "two"},
                                            {"3", "three"},
                                            {"4", NULL},
                                            {"a4", "four"},
                                            {"a5", NULL},
                                            {"ab5", "five"}},
                     8);
    table_regex_unref(&table);
}

static void test_captures(void **state)
{
    struct kit *kit = *state;
    struct regex_match match;
    struct table_regex *table = regex_kit_open(kit, &regex_dialect_postfix,
                                               "/(b)(x)?(c*)/ r\n!/q/ s\n");

    assert_string_equal(regex_kit_find(kit, table, 0, "abd", &match), "r");
    assert_int_equal(match.capture_count, 4);
    assert_string_equal(match.captures[0].text, "b");
    assert_string_equal(match.captures[1].text, "b");
    assert_null(match.captures[2].text);
    assert_string_equal(match.captures[3].text, "");
    assert_string_equal(regex_kit_find(kit, table, 0, "d", &match), "s");
    assert_int_equal(match.capture_count, 0);
    table_regex_unref(&table);
}

static void test_any_bytes(void **state)
{
    struct kit *kit = *state;
    struct table_regex *table = regex_kit_open(
        kit, &regex_dialect_postfix,
        "/^\\x00/ nul\n/a\\x00(.)/ <$1>\n/\xff/ ff\n/(*UTF)\xc3\xa4\xc3\xb6/ utf\n/end$/ end\n");
    char *subject = xmalloc(1u << 20);
    struct regex_match match;
    struct regex_query query = {.subject = "\0x", .len = 2, .arena = kit->arena};

    assert_string_equal(kit->messages.data, "");
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "nul");
    query.subject = "a\0z";
    query.len = 3;
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "<z>");
    assert_int_equal(match.captures[0].len, 3);
    query.subject = "\xc3\x28\xff";
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "ff");
    query.subject = "\xc3\x28 \xc3\x84\xc3\xb6 \xe2\x82";
    query.len = strlen(query.subject);
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "utf");
    memset(subject, 'x', 1u << 20);
    memcpy(subject + (1u << 20) - 3, "end", 3);
    query.subject = subject;
    query.len = 1u << 20;
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "end");
    query.len = 0;
    table_regex_find(table, &query, &match);
    assert_int_equal(match.status, STATUS_NOTFOUND);
    free(subject);
    table_regex_unref(&table);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct kit *kit = *state;

    assert_null(table_regex_open("regex", kit->text, &regex_dialect_postfix, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: No such file or directory\n");
    strbuf_reset(&kit->messages);
    assert_null(table_regex_open("regex", kit->folder, &regex_dialect_postfix, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: cannot be read: Is a directory\n");
    /* A pipe would make whoever opens it wait. */
    strbuf_reset(&kit->messages);
    assert_int_equal(mkfifo(kit->text, 0600), 0);
    assert_null(table_regex_open("regex", kit->text, &regex_dialect_postfix, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: is not an ordinary file\n");
    assert_int_equal(unlink(kit->text), 0);
    struct table_regex *table = regex_kit_open(kit, &regex_kit_tagged, "");

    assert_int_equal(table_regex_count(table), 0);
    assert_null(table_regex_notice(table));
    regex_kit_expect(kit, table, FROM, (struct expectation[]){{"", NULL}, {"a", NULL}}, 2);
    table_regex_unref(&table);
}

/* ---- threads ---- */

static void *run_queries(void *ctx)
{
    const struct table_regex *table = ctx;
    struct arena *arena = arena_new();
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        char subject[32];
        char expected[64];
        struct regex_match match;
        struct regex_query query = {.subject = subject, .arena = arena};

        query.len = (size_t)snprintf(subject, sizeof(subject), "key%u=value%u", i % 40, i);
        snprintf(expected, sizeof(expected), "rule %u value%u", i % 40, i);
        table_regex_find(table, &query, &match);
        wrong += match.status != STATUS_OK || strcmp(match.result, expected) != 0;
        arena_reset(arena);
    }
    arena_free(&arena);
    return (void *)wrong; /* NOLINT(performance-no-int-to-ptr) */
}

static void test_threads(void **state)
{
    struct kit *kit = *state;
    pthread_t threads[THREADS];
    struct strbuf text;

    strbuf_init(&text);
    for (unsigned i = 0; i < 40; i++) {
        strbuf_appendf(&text, "/^key%u=(.*)$/ rule %u $1\n", i, i);
    }
    struct table_regex *table = regex_kit_open(kit, &regex_dialect_postfix, text.data);

    table_regex_prepare(table);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_queries, table), 0);
    }
    struct table_regex *mine = table_regex_ref(table);

    table_regex_unref(&mine);
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    table_regex_unref(&table);
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_flags, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_results, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_blocks, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_broken_blocks, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_captures, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_any_bytes, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_threads, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
