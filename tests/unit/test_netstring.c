/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/netstring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX 20u

static enum netstring_result read_text(const char *text, size_t len, const char **content_out,
                                       size_t *len_out, size_t *used_out)
{
    /* A copy of exactly this length: a byte too far is seen by valgrind and sanitizers. */
    static char *copy;

    free(copy);
    copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return netstring_read(copy, len, MAX, content_out, len_out, used_out);
}

static void test_read_whole(void **state)
{
    static const struct {
        const char *text;
        const char *content;
        size_t used;
    } cases[] = {
        {"0:,", "", 3},
        {"5:hello,", "hello", 8},
        {"5:hello,3:abc,", "hello", 8},
        {"3:a,b,", "a,b", 6},
        {"20:12345678901234567890,", "12345678901234567890", 24},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *content = NULL;
        size_t len = 0;
        size_t used = 0;

        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), &content, &len, &used),
                         NETSTRING_WHOLE);
        assert_int_equal(len, strlen(cases[i].content));
        assert_memory_equal(content, cases[i].content, len);
        assert_int_equal(used, cases[i].used);
    }
}

/* Each beginning of a netstring is a part of one. */
static void test_read_part(void **state)
{
    const char *text = "20:12345678901234567890,";
    const char *content;
    size_t len;
    size_t used;

    (void)state;
    for (size_t i = 0; i < strlen(text); i++) {
        assert_int_equal(read_text(text, i, &content, &len, &used), NETSTRING_PART);
    }
}

/* ... and what is none is known as soon as it can be: nobody waits for the rest, or keeps it. */
static void test_read_bad(void **state)
{
    static const char *const cases[] = {
        ":",          ",",
        " 5:hello,",  "05:hello,",
        "00:,",       "5:hello;",
        "-1:",        "5 :hello,",
        "+5:hello,",  "21:",
        "21",         "999999999",
        "1234567890", "4294967301:",
        "5;hello,",   "GET / HTTP/1.0\r\n",
        "\n",         "18446744073709551621:hello,",
    };
    const char *content;
    size_t len;
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (read_text(cases[i], strlen(cases[i]), &content, &len, &used) != NETSTRING_BAD) {
            fail_msg("%s is taken", cases[i]);
        }
    }
    assert_int_equal(read_text("1:\0;", 4, &content, &len, &used), NETSTRING_BAD);
}

static void test_append(void **state)
{
    struct strbuf out;
    const char *content;
    size_t len;
    size_t used;

    (void)state;
    strbuf_init(&out);
    netstring_append(&out, "OK OK", 5);
    netstring_append(&out, "", 0);
    netstring_append(&out, "a\0b", 3);
    assert_int_equal(out.len, 8 + 3 + 6);
    assert_memory_equal(out.data, "5:OK OK,0:,3:a\0b,", out.len);
    assert_int_equal(read_text(out.data + 11, 6, &content, &len, &used), NETSTRING_WHOLE);
    assert_int_equal(len, 3);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_whole),
        cmocka_unit_test(test_read_part),
        cmocka_unit_test(test_read_bad),
        cmocka_unit_test(test_append),
    };

    return cmocka_run_group_tests_name("netstring", tests, NULL, NULL);
}
