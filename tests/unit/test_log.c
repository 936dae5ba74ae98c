/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- fields ---- */

static void test_field_quotes_what_could_be_misread(void **state)
{
    static const struct {
        const char *value;
        const char *field;
    } cases[] = {
        {"plain", "k=plain"},
        {"<a@example.org>", "k=<a@example.org>"},
        {"a:b,c/d[1]%", "k=a:b,c/d[1]%"},
        {"", "k=\"\""},
        {"two words", "k=\"two words\""},
        {"a=b", "k=\"a=b\""},
        {"say \"x\"", "k=\"say \\\"x\\\"\""},
        {"back\\slash", "k=\"back\\\\slash\""},
        {"a\nb", "k=\"a\\x0ab\""},
        {"\r\n", "k=\"\\x0d\\x0a\""},
        {"\x1b[31m", "k=\"\\x1b[31m\""},
        {"\x7f", "k=\"\\x7f\""},
        {"gr\xc3\xbc\xc3\x9f", "k=\"gr\xc3\xbc\xc3\x9f\""}, /* UTF-8 stays */
        {"\xe2\x82\xac", "k=\"\xe2\x82\xac\""},
        {"\xf0\x9f\x93\xa7", "k=\"\xf0\x9f\x93\xa7\""},
        {"\xff", "k=\"\\xff\""},
        {"\xc3", "k=\"\\xc3\""},                            /* cut off */
        {"\xc0\xaf", "k=\"\\xc0\\xaf\""},                   /* overlong */
        {"\xed\xa0\x80", "k=\"\\xed\\xa0\\x80\""},          /* surrogate */
        {"\xf4\x90\x80\x80", "k=\"\\xf4\\x90\\x80\\x80\""}, /* behind the last character */
        {"\xc2\x85", "k=\"\\xc2\\x85\""},                   /* U+0085 is a line end to some */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strbuf line;

        strbuf_init(&line);
        log_field(&line, "k", cases[i].value);
        assert_string_equal(line.data, cases[i].field);
        strbuf_fini(&line);
    }
}

static void test_fields_are_separated(void **state)
{
    (void)state;
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "a", NULL);
    log_field(&line, "b", "x");
    log_field(&line, "c", NULL);
    log_field_uint(&line, "d", 4294967296ul);
    assert_string_equal(line.data, "b=x d=4294967296");
    strbuf_fini(&line);
}

static void test_long_value_is_cut(void **state)
{
    (void)state;
    char value[600];
    struct strbuf line;

    strbuf_init(&line);
    (void)memset(value, 'a', 512);
    value[512] = '\0';
    log_field(&line, "k", value);
    assert_int_equal(line.len, 2 + 512);
    strbuf_reset(&line);
    value[512] = 'a';
    value[513] = '\0';
    log_field(&line, "k", value);
    assert_int_equal(line.len, 2 + 512 + 3);
    assert_string_equal(line.data + 2 + 512, "...");
    strbuf_reset(&line);
    value[0] = '\n';
    log_field(&line, "k", value);
    assert_string_equal(line.data + line.len - 5, "a...\"");
    strbuf_fini(&line);
}

/* ---- lines ---- */

/* Standard error into a pipe while `write_lines` runs; what came out, to be freed. */
static char *capture(void (*write_lines)(struct logger *), enum log_level level)
{
    struct logger *logger = log_new(LOG_TARGET_STDERR, "test", "mail", level);
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);

    assert_non_null(file);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    write_lines(logger);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    log_free(&logger);
    assert_null(logger);
    off_t len = lseek(fileno(file), 0, SEEK_END);
    char *text = calloc(1, (size_t)len + 1);

    assert_non_null(text);
    assert_int_equal(pread(fileno(file), text, (size_t)len, 0), len);
    (void)fclose(file);
    return text;
}

static void write_all_levels(struct logger *logger)
{
    log_line(logger, LOG_LEVEL_ERROR, "one");
    log_line(logger, LOG_LEVEL_WARNING, "two");
    log_printf(logger, LOG_LEVEL_INFO, "%s %d", "three", 3);
    log_line(logger, LOG_LEVEL_DEBUG, "four");
}

static void test_level_decides(void **state)
{
    static const char *const expected[] = {"one\n", "one\ntwo\n", "one\ntwo\nthree 3\n",
                                           "one\ntwo\nthree 3\nfour\n"};

    (void)state;
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        char *text = capture(write_all_levels, (enum log_level)level);

        assert_string_equal(text, expected[level]);
        free(text);
    }
}

static void write_reconfigured(struct logger *logger)
{
    assert_false(log_enabled(logger, LOG_LEVEL_DEBUG));
    log_configure(logger, "local3", LOG_LEVEL_DEBUG);
    assert_true(log_enabled(logger, LOG_LEVEL_DEBUG));
    log_line(logger, LOG_LEVEL_DEBUG, "100% %s %n");
}

static void test_level_can_change_and_a_line_is_no_format(void **state)
{
    (void)state;
    char *text = capture(write_reconfigured, LOG_LEVEL_ERROR);

    assert_string_equal(text, "100% %s %n\n");
    free(text);
}

static void test_journal_gets_priorities(void **state)
{
    (void)state;
    (void)setenv("JOURNAL_STREAM", "8:1", 1);
    char *text = capture(write_all_levels, LOG_LEVEL_DEBUG);

    (void)unsetenv("JOURNAL_STREAM");
    assert_string_equal(text, "<3>one\n<4>two\n<6>three 3\n<7>four\n");
    free(text);
}

static void *write_many(void *arg)
{
    struct logger *logger = arg;
    char line[200];

    (void)memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    for (int i = 0; i < 500; i++) {
        log_line(logger, LOG_LEVEL_INFO, line);
    }
    return NULL;
}

static void write_from_threads(struct logger *logger)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, logger), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void test_lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    char *text = capture(write_from_threads, LOG_LEVEL_INFO);

    assert_int_equal(strlen(text), 4 * 500 * 200);
    for (size_t at = 199; at < strlen(text); at += 200) {
        assert_int_equal(text[at], '\n');
    }
    free(text);
}

static void test_no_logger_writes_nothing(void **state)
{
    (void)state;
    assert_false(log_enabled(NULL, LOG_LEVEL_ERROR));
    log_line(NULL, LOG_LEVEL_ERROR, "x");
    log_printf(NULL, LOG_LEVEL_ERROR, "%d", 1);
}

/* ---- names ---- */

static void test_names(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_ERROR;

    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("WARNING", &level));
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_true(log_facility_known("mail"));
    assert_true(log_facility_known("local7"));
    assert_false(log_facility_known("local8"));
    assert_false(log_facility_known(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_quotes_what_could_be_misread),
        cmocka_unit_test(test_fields_are_separated),
        cmocka_unit_test(test_long_value_is_cut),
        cmocka_unit_test(test_level_decides),
        cmocka_unit_test(test_level_can_change_and_a_line_is_no_format),
        cmocka_unit_test(test_journal_gets_priorities),
        cmocka_unit_test(test_lines_of_threads_do_not_mix),
        cmocka_unit_test(test_no_logger_writes_nothing),
        cmocka_unit_test(test_names),
    };

    (void)unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
