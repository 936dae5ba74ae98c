/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    int count;
    struct diag_item last;
    char text[2048];
};

static void see(void *ctx, const struct diag_item *item)
{
    struct seen *seen = ctx;

    seen->count++;
    seen->last = *item;
    (void)snprintf(seen->text, sizeof(seen->text), "%s", item->text);
}

static void test_report_gives_each_item_to_the_sink(void **state)
{
    struct seen seen = {0};
    struct diag diag;

    (void)state;
    diag_init(&diag, see, &seen);
    diag_report(&diag, DIAG_ERROR, "access", 12, "a hint", "%s is %d", "this", 5);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.level, DIAG_ERROR);
    assert_string_equal(seen.last.file, "access");
    assert_int_equal(seen.last.line, 12);
    assert_string_equal(seen.last.hint, "a hint");
    assert_string_equal(seen.text, "this is 5");
    diag_report(&diag, DIAG_WARNING, "conf", 0, NULL, "x");
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.last.level, DIAG_WARNING);
    assert_null(seen.last.hint);
    assert_int_equal(diag.errors, 1);
    assert_int_equal(diag.warnings, 1);
}

static void test_report_without_a_sink_counts(void **state)
{
    struct diag diag;

    (void)state;
    diag_init(&diag, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        diag_report(&diag, DIAG_ERROR, "f", 1, NULL, "x");
    }
    diag_report(&diag, DIAG_WARNING, "f", 1, NULL, "x");
    assert_int_equal(diag.errors, 3);
    assert_int_equal(diag.warnings, 1);
}

/* Whatever a file holds: a long text is cut, not written behind its buffer. */
static void test_report_cuts_a_long_text(void **state)
{
    struct seen seen = {0};
    struct diag diag;
    char text[5000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    diag_init(&diag, see, &seen);
    diag_report(&diag, DIAG_ERROR, "f", 1, NULL, "%s", text);
    assert_in_range(strlen(seen.text), 500, 1023);
    diag_report(&diag, DIAG_ERROR, "f", 1, NULL, "%s", "100% %s %n");
    assert_string_equal(seen.text, "100% %s %n");
}

static const char *stream_text(enum diag_level level, const char *file, unsigned line,
                               const char *hint, const char *text)
{
    static char out[4096];
    FILE *stream = fmemopen(out, sizeof(out), "w");
    struct diag diag;

    assert_non_null(stream);
    memset(out, 0, sizeof(out));
    diag_init(&diag, diag_to_stream, stream);
    diag_report(&diag, level, file, line, hint, "%s", text);
    assert_int_equal(fclose(stream), 0);
    return out;
}

static void test_to_stream_writes_one_line(void **state)
{
    (void)state;
    assert_string_equal(stream_text(DIAG_ERROR, "/etc/postern/access", 3, "do this", "is wrong"),
                        "/etc/postern/access:3: error: is wrong; do this\n");
    assert_string_equal(stream_text(DIAG_WARNING, "access", 0, NULL, "is odd"),
                        "access: warning: is odd\n");
    assert_string_equal(stream_text(DIAG_ERROR, "-", 1, NULL, "x"), "-:1: error: x\n");
}

/* What a rule file holds must not steer the reader's terminal, nor look like another line. */
static void test_to_stream_shows_no_control_characters(void **state)
{
    (void)state;
    assert_string_equal(stream_text(DIAG_ERROR, "f\n", 1, "h\033]0;x\007", "a\r\nb\033[31mc\177d"),
                        "f?:1: error: a??b?[31mc?d; h?]0;x?\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_gives_each_item_to_the_sink),
        cmocka_unit_test(test_report_without_a_sink_counts),
        cmocka_unit_test(test_report_cuts_a_long_text),
        cmocka_unit_test(test_to_stream_writes_one_line),
        cmocka_unit_test(test_to_stream_shows_no_control_characters),
    };

    return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
