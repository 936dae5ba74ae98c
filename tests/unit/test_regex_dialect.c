/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/regex_kit.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_tags(void **state)
{
    struct kit *kit = *state;
    struct regex_match match;
    struct table_regex *table = regex_kit_open(kit, &regex_kit_tagged,
                                               "Connect:/c/ connect\n"
                                               "helo: /h/ helo\n"
                                               "From:!/f/ from\n"
                                               "if To:/t/\n"
                                               "/1/ to one\n"
                                               "From:/1/ never\n"
                                               "endif\n"
                                               "if /x/\n"
                                               "Helo:/2/ helo in a block\n"
                                               "/2/ untagged in a block\n"
                                               "endif\n"
                                               "/u/ untagged\n");

    assert_string_equal(kit->messages.data, "");
    regex_kit_expect(
        kit, table, CONNECT,
        (struct expectation[]){
            {"c", "connect"}, {"h", NULL}, {"u", "untagged"}, {"x2", "untagged in a block"}},
        4);
    regex_kit_expect(
        kit, table, HELO,
        (struct expectation[]){
            {"c", NULL}, {"H", "helo"}, {"u", NULL}, {"x2", "helo in a block"}, {"2", NULL}},
        5);
    regex_kit_expect(
        kit, table, FROM,
        (struct expectation[]){{"1", "from"}, {"f1", NULL}, {"fu", "untagged"}, {"ft1", NULL}}, 4);
    regex_kit_expect(kit, table, TO,
                     (struct expectation[]){{"1", NULL}, {"t1", "to one"}, {"tu", "untagged"}}, 3);
    assert_string_equal(regex_kit_find(kit, table, HELO, "h", &match), "helo");
    assert_int_equal(match.place.line, 2);
    assert_string_equal(match.place.written, "helo: /h/");
    assert_string_equal(match.place.file, kit->text);
    table_regex_lint(table, &kit->diag);
    assert_string_equal(
        kit->messages.data,
        "6 warning: nothing is ever asked here: the `if` around it is for another tag\n");
    table_regex_unref(&table);

    table = regex_kit_open(kit, &regex_kit_tagged, "Form:/x/ y\nFrom:word y\nFrom: y\nFrom:\n");
    assert_string_equal(kit->messages.data, "1 error: the line is not understood: \"Form:/x/ y\"\n"
                                            "2 error: no pattern follows the tag: \"word y\"\n"
                                            "3 error: no pattern follows the tag: \"y\"\n"
                                            "4 error: there is no pattern\n");
    table_regex_unref(&table);
}

/* Sendmail's own example, as one line. */
static void test_named_patterns(void **state)
{
    struct kit *kit = *state;
    const char *value;
    struct table_regex *table = regex_kit_open(
        kit, &regex_kit_tagged,
        "Kallnumbers regex -a@MATCH ^[0-9]+$\n"
        "From: local~allnumbers domain=bigisp.com  553 Address Error\n"
        "From: local!~allnumbers domain=.bigisp.com 550 below\n"
        "From: subject=Exact@Example.org domain!=other 551 ${$$}\n"
        "To: local~parts 554 <${parts}> $(parts) $parts $$1\n"
        "if Helo: subject~allnumbers\n"
        "Helo:/5/ 555 five\n"
        "endif\n"
        "domain=untagged.example 556 any\n"
        "Kparts regex -f -s2,1 -d: -a! ^(a+)(b+)$\n");

    assert_string_equal(
        kit->messages.data,
        "4 error: `$` is followed by no name of the line; a dollar sign itself is `$$`\n");
    regex_kit_expect(kit, table, FROM,
                     (struct expectation[]){{"2312343@bigisp.com", "553 Address Error"},
                                            {"2312343@BIGISP.com", "553 Address Error"},
                                            {"2312343a@bigisp.com", NULL},
                                            {"2312343@other.com", NULL},
                                            {"2312343", NULL},
                                            {"x@mail.bigisp.com", "550 below"},
                                            {"1@mail.bigisp.com", NULL},
                                            {"1@xbigisp.com", NULL},
                                            {"x@untagged.example", "556 any"}},
                     9);
    regex_kit_expect(kit, table, TO,
                     (struct expectation[]){{"aabbb@x", "554 <bbb:aa!> bbb:aa! bbb:aa! $1"},
                                            {"AB@x", NULL},
                                            {"ab", "554 <b:a!> b:a! b:a! $1"}},
                     3);
    regex_kit_expect(
        kit, table, HELO,
        (struct expectation[]){{"45", "555 five"}, {"x5", NULL}, {"x@untagged.example", NULL}}, 3);
    assert_int_equal(table_regex_named(table, "allnumbers", "12", 2, kit->arena, &value),
                     STATUS_OK);
    assert_string_equal(value, "@MATCH");
    assert_int_equal(table_regex_named(table, "allnumbers", "12x", 3, kit->arena, &value),
                     STATUS_NOTFOUND);
    assert_int_equal(table_regex_named(table, "none", "12", 2, kit->arena, &value), STATUS_INVALID);
    table_regex_unref(&table);
}

static void test_errors_of_names_and_conditions(void **state)
{
    struct kit *kit = *state;
    struct table_regex *table = regex_kit_open(kit, &regex_kit_tagged,
                                               "Ka regex x\n"
                                               "Ka regex y\n"
                                               "Kb hash /etc/mail/x\n"
                                               "Kc regex -z x\n"
                                               "Kd regex a(\n"
                                               "From: local~nobody 550 x\n"
                                               "From: local= 550 x\n"
                                               "if client here\n"
                                               "if client local !local\n"
                                               "if client\n"
                                               "From: local~a 550 $1\n"
                                               "From: local!~a 550 $a\n"
                                               "From:/(x)/ BAD $1\n"
                                               "To:/(x)/ BAD\n"
                                               "/(x)/ BAD$1 more $1\n");

    assert_string_equal(
        kit->messages.data,
        "2 error: \"a\" is defined already, in line 1\n"
        "3 error: maps of this class are not known: \"hash\"\n"
        "4 error: -z is no option of a regex map; these are -n -f -b -s -d -a -m -S -D -T -q\n"
        "5 error: a group is not closed\n"
        "7 error: nothing stands behind the condition: \"local= 550 x\"\n"
        "8 error: `if client` knows no such word: \"here\"\n"
        "9 error: `if client` names the word twice: \"local\"\n"
        "10 error: no word follows `if client`\n"
        "11 error: `$` is followed by no name of the line; a dollar sign itself is `$$`\n"
        "12 error: `$` is followed by no name of the line; a dollar sign itself is `$$`\n"
        "13 error: bad: BAD x|BAD $1|4 varies\n"
        "14 error: bad: BAD|BAD|8\n"
        "15 error: bad: BADx more x|BAD$1 more $1|13 varies verb\n"
        "6 error: no pattern has the name \"nobody\"\n");
    /* A rule that asks an unknown name never holds. */
    regex_kit_expect(kit, table, FROM, (struct expectation[]){{"nobody@x", NULL}}, 1);
    table_regex_unref(&table);
}

static void test_clients_and_keywords(void **state)
{
    struct kit *kit = *state;
    struct regex_match match;
    struct regex_view view;
    size_t at = 0;
    struct table_regex *table = regex_kit_open(kit, &regex_kit_headers,
                                               "missing Message-Id: 553 Header Error\n"
                                               "if client !local !relay\n"
                                               "repeated From 1 550 two $$\n"
                                               "/^Subject:/ foreign\n"
                                               "endif\n"
                                               "if client local\n"
                                               "headers 100 550 many\n"
                                               "endif\n"
                                               "if /x/\n"
                                               "missing Date 550 y\n"
                                               "endif\n"
                                               "repeated To many 550 z\n"
                                               "repeated To 99999999999 550 z\n"
                                               "missing\n"
                                               "missing B\xc3\xa4h 550 z\n"
                                               "headers 5 BAD\n"
                                               "headers 5 $1\n");

    assert_string_equal(
        kit->messages.data,
        "10 error: `missing` cannot stand inside of the `if` of line 9, which compares a text\n"
        "12 error: a number has to follow: \"repeated\"\n"
        "13 error: a number has to follow: \"repeated\"\n"
        "14 error: no name of a header follows the word: \"missing\"\n"
        "15 error: no name of a header follows the word: \"missing\"\n"
        "16 error: bad: BAD|BAD|4294967295 keyword\n"
        "17 error: the result of this rule cannot hold `$`: there is no pattern; a dollar sign itself is `$$`\n");
    assert_int_equal(table_regex_client_words(table), LOCAL | RELAY);
    assert_true(table_regex_next_keyword(table, 0, &at, &view));
    assert_string_equal(view.keyword->word, "missing");
    assert_string_equal(view.name, "Message-Id");
    assert_string_equal(view.result, "553 Header Error");
    assert_string_equal(view.place.written, "missing Message-Id:");
    assert_true(table_regex_next_keyword(table, 0, &at, &view));
    assert_string_equal(view.name, "From");
    assert_int_equal(view.value, 1);
    assert_string_equal(view.result, "550 two $");
    assert_false(table_regex_next_keyword(table, 0, &at, &view));
    at = 0;
    assert_true(table_regex_next_keyword(table, LOCAL, &at, &view));
    assert_true(table_regex_next_keyword(table, LOCAL, &at, &view));
    assert_int_equal(view.value, 100);
    assert_int_equal(view.place.line, 7);
    assert_false(table_regex_next_keyword(table, LOCAL, &at, &view));
    assert_string_equal(regex_kit_find(kit, table, 0, "Subject: a", &match), "foreign");
    struct regex_query query = {
        .client = RELAY, .subject = "Subject: a", .len = 10, .arena = kit->arena};

    table_regex_find(table, &query, &match);
    assert_int_equal(match.status, STATUS_NOTFOUND);
    table_regex_unref(&table);
}

static void test_views(void **state)
{
    struct kit *kit = *state;
    struct regex_view view;
    size_t at = 0;
    struct table_regex *table = regex_kit_open(
        kit, &regex_kit_tagged, "if From:/a/\n!/b\\/c/x $$ r\nendif\nTo: local=x y\n");

    assert_true(table_regex_next(table, &at, &view));
    assert_int_equal(view.kind, REGEX_IF);
    assert_int_equal(view.tags, FROM);
    assert_null(view.result);
    assert_true(table_regex_next(table, &at, &view));
    assert_int_equal(view.kind, REGEX_MATCH);
    assert_int_equal(view.tags, FROM);
    assert_true(view.negated);
    assert_string_equal(view.pattern, "b\\/c");
    assert_string_equal(view.result, "$$ r");
    assert_string_equal(view.place.written, "!/b\\/c/x");
    assert_true(table_regex_next(table, &at, &view));
    assert_null(view.pattern);
    assert_int_equal(view.tags, TO);
    assert_false(table_regex_next(table, &at, &view));
    table_regex_unref(&table);
}

static void test_decoded(void **state)
{
    struct kit *kit = *state;
    struct regex_match match;
    struct table_regex *table = regex_kit_open(kit, &regex_kit_headers,
                                               "/raw/ raw\n/(clear)/D $1\n!/x/D no x\n");
    struct regex_query query = {
        .subject = "raw", .len = 3, .decoded = "clear", .decoded_len = 5, .arena = kit->arena};

    assert_string_equal(kit->messages.data, "");
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "raw");
    query.subject = "clear";
    query.len = 5;
    query.decoded = "x";
    query.decoded_len = 1;
    table_regex_find(table, &query, &match);
    assert_int_equal(match.status, STATUS_NOTFOUND);
    query.decoded = "a clear x";
    query.decoded_len = 9;
    query.subject = "a x";
    query.len = 3;
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "clear");
    assert_int_equal(match.capture_count, 2);
    query.decoded = NULL;
    table_regex_find(table, &query, &match);
    assert_int_equal(match.status, STATUS_NOTFOUND);
    table_regex_unref(&table);
}

/* What explain shows. */
struct log {
    struct regex_observer observer;
    struct strbuf text;
};

static void on_asked(struct regex_observer *observer, const struct regex_place *place,
                     enum status result)
{
    struct log *log = (struct log *)observer;

    strbuf_appendf(&log->text, "%u %s %s\n", place->line, place->written,
                   result == STATUS_OK         ? "yes"
                   : result == STATUS_NOTFOUND ? "no"
                                               : "failed");
}

static void test_observer(void **state)
{
    struct kit *kit = *state;
    struct log log = {.observer.asked = on_asked};
    struct regex_match match;
    struct regex_query query = {
        .tag = FROM, .subject = "ab", .len = 2, .arena = kit->arena, .observer = &log.observer};
    struct table_regex *table = regex_kit_open(
        kit, &regex_kit_tagged,
        "To:/a/ x\nif !/a/\n/b/ y\nendif\nif From:/b/\n!/^a/ z\nFrom: subject=ab w\nendif\n");

    strbuf_init(&log.text);
    table_regex_find(table, &query, &match);
    assert_string_equal(match.result, "w");
    assert_string_equal(log.text.data,
                        "2 if !/a/ no\n5 if From:/b/ yes\n6 !/^a/ no\n7 From: subject=ab yes\n");
    strbuf_fini(&log.text);
    table_regex_unref(&table);
}

/* A limit is neither a match nor none, also in `!` and `if`, and nothing behind it is asked. */
static void test_limits(void **state)
{
    static const char *const tables[] = {
        "/^(a+)+$/ x\n/a/ y\n",
        "!/^(a+)+$/ x\n/a/ y\n",
        "if /^(a+)+$/\nendif\n/a/ y\n",
        "if !/^(a+)+$/\n/a/ y\nendif\n",
        "Kslow regex ^(a+)+$\nFrom: subject~slow x\n/a/ y\n",
    };
    struct kit *kit = *state;
    char subject[64];

    memset(subject, 'a', sizeof(subject) - 2);
    subject[sizeof(subject) - 2] = 'b';
    subject[sizeof(subject) - 1] = '\0';
    for (size_t i = 0; i < COUNT(tables); i++) {
        struct table_regex *table = regex_kit_open(kit, &regex_kit_tagged, tables[i]);
        struct regex_match match;

        assert_string_equal(kit->messages.data, "");
        assert_string_equal(regex_kit_find(kit, table, FROM, subject, &match), "!");
        assert_int_equal(match.status, STATUS_TEMPFAIL);
        assert_int_equal(match.place.line, i == 4 ? 2 : 1);
        assert_string_equal(
            match.why,
            "the match limit is reached: the pattern takes too many steps for this text");
        assert_string_equal(match.result, "");
        table_regex_lint(table, &kit->diag);
        assert_non_null(strstr(kit->messages.data,
                               "1 warning: the pattern may take exponential time: (a+)+ can"));
        table_regex_unref(&table);
    }
}

static void test_lint_of_duplicates(void **state)
{
    struct kit *kit = *state;
    struct table_regex *table = regex_kit_open(
        kit, &regex_kit_tagged, "/a/ x\n/a/i x\nFrom:/a/ x\nif /b/\n/a/ x\nendif\n!/a/ x\n/a/ y\n");

    assert_string_equal(kit->messages.data, "");
    table_regex_lint(table, &kit->diag);
    assert_string_equal(kit->messages.data,
                        "8 warning: the same pattern stands in line 1 already\n");
    table_regex_unref(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tags, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_named_patterns, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_errors_of_names_and_conditions, kit_setup,
                                        kit_teardown),
        cmocka_unit_test_setup_teardown(test_clients_and_keywords, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_views, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_decoded, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_observer, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_limits, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_lint_of_duplicates, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
