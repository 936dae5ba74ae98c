/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/strbuf.h"

#include <string.h>

static void test_is_a_string_at_every_moment(void **state)
{
    (void)state;
    struct strbuf buf;

    strbuf_init(&buf);
    assert_string_equal(buf.data, "");
    for (size_t i = 0; i < 3000; i++) {
        assert_int_equal(buf.len, i);
        assert_int_equal(strlen(buf.data), i);
        strbuf_append_char(&buf, 'a');
    }
    strbuf_reset(&buf);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.len, 0);
    strbuf_fini(&buf);
    assert_null(buf.data);
}

static void test_append(void **state)
{
    (void)state;
    struct strbuf buf;

    strbuf_init(&buf);
    strbuf_append(&buf, "one");
    strbuf_append(&buf, "");
    strbuf_append_char(&buf, ' ');
    strbuf_append_len(&buf, "two and more", 3);
    assert_string_equal(buf.data, "one two");
    strbuf_append_len(&buf, "\0x", 2);
    assert_int_equal(buf.len, 9);
    assert_memory_equal(buf.data, "one two\0x", 10);
    strbuf_fini(&buf);
}

static void test_appendf_of_all_lengths(void **state)
{
    (void)state;
    char text[300];
    struct strbuf buf;

    for (size_t len = 0; len < sizeof(text); len++) {
        (void)memset(text, 'z', len);
        text[len] = '\0';
        strbuf_init(&buf);
        strbuf_appendf(&buf, "%s|%zu%%", text, len);
        assert_memory_equal(buf.data, text, len);
        assert_int_equal(buf.data[len], '|');
        assert_int_equal(buf.data[buf.len - 1], '%');
        assert_int_equal(strlen(buf.data), buf.len);
        strbuf_appendf(&buf, "%s", "");
        assert_int_equal(strlen(buf.data), buf.len);
        strbuf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_a_string_at_every_moment),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_appendf_of_all_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
