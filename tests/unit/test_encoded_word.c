/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/encoded_word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct word_case {
    const char *text;
    const char *decoded; /* NULL: there is nothing to decode */
};

static void check_cases(const struct word_case *cases, size_t count)
{
    struct strbuf out;

    strbuf_init(&out);
    for (size_t i = 0; i < count; i++) {
        strbuf_reset(&out);
        strbuf_append(&out, "kept ");

        bool decoded = encoded_word_decode(cases[i].text, strlen(cases[i].text), &out);

        assert_int_equal(decoded, cases[i].decoded != NULL);
        assert_memory_equal(out.data, "kept ", 5);
        if (strcmp(out.data + 5, decoded ? cases[i].decoded : "") != 0) {
            fail_msg("\"%s\": \"%s\"", cases[i].text, out.data + 5);
        }
    }
    strbuf_fini(&out);
}

static void test_decode_reads_b_and_q(void **state)
{
    static const struct word_case cases[] = {
        {"Subject: =?utf-8?B?VmlhZ3Jh?=", "Subject: Viagra"},
        {"Subject: =?UTF-8?b?VmlhZ3Jh?= now", "Subject: Viagra now"},
        {"=?utf-8?Q?a_b=20c=3d=C3=A4?=", "a b c=\xc3\xa4"},
        {"=?utf-8?q?=c3=a4=zz=4?=", "\xc3\xa4=zz=4"},
        {"=?utf-8?q?"
         "?=",
         ""},
        {"=?us-ascii*en?q?a?=", "a"},
        {"=?iso-8859-1?Q?=e4?=", "\xc3\xa4"},
        {"=?windows-1251?B?4Q==?=", "\xd0\xb1"},
        {"=?iso-2022-jp?B?GyRCJCIbKEI=?=", "\xe3\x81\x82"},
        /* padding left out, characters that are none */
        {"=?utf-8?B?VmlhZ3JhIQ?=", "Viagra!"},
        {"=?utf-8?B?V ml-hZ3Jh?=", "Viagra"},
        /* inside of other text, where RFC 2047 allows none */
        {"x=?utf-8?q?a?=y", "xay"},
        {"\"=?utf-8?q?a?=\"", "\"a\""},
        {"=?=?utf-8?q?a?=", "=?a"},
        {"=?utf-8?q?a b?=", "a b"},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_decode_leaves_what_is_none(void **state)
{
    static const struct word_case cases[] = {
        {"", NULL},
        {"Subject: hello", NULL},
        {"=?", NULL},
        {"=?utf-8", NULL},
        {"=?utf-8?", NULL},
        {"=?utf-8?q", NULL},
        {"=?utf-8?q?", NULL},
        {"=?utf-8?q?a", NULL},
        {"=?utf-8?q?a?", NULL},
        {"=?utf-8?x?a?=", NULL},
        {"=??q?a?=", NULL},
        {"=?utf-8*en", NULL},
        {"=?no-such-charset?q?a?=", NULL},
        {"=?utf-8//TRANSLIT?q?a?=", NULL},
        {"=?0123456789012345678901234567890123456789x?q?a?=", NULL},
        /* a word does not go on in the next line */
        {"=?utf-8?q?a\n b?=", NULL},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_decode_joins_words(void **state)
{
    static const struct word_case cases[] = {
        {"=?utf-8?q?Via?= =?utf-8?q?gra?=", "Viagra"},
        {"=?utf-8?q?Via?=\n\t =?iso-8859-1?b?Z3Jh?=", "Viagra"},
        {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
        {" =?utf-8?q?a?= ", " a "},
        {"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
        /* a character cut in two */
        {"=?utf-8?q?=C3?= =?UTF-8?b?pA==?=", "\xc3\xa4"},
        {"=?utf-8?q?=C3?= x =?utf-8?q?=A4?=", "\xef\xbf\xbd x \xef\xbf\xbd"},
        /* the gap beside a word that cannot be decoded stays */
        {"=?utf-8?q?a?= =?nope?q?b?= =?utf-8?q?c?=", "a =?nope?q?b?= c"},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_decode_replaces_wrong_bytes(void **state)
{
    static const struct word_case cases[] = {
        {"=?utf-8?q?a=ffb?=", "a\xef\xbf\xbd"
                              "b"},
        {"=?utf-8?q?=c3?=", "\xef\xbf\xbd"},
        {"=?us-ascii?q?=e4x?=", "\xef\xbf\xbdx"},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_decode_takes_nul_bytes(void **state)
{
    struct strbuf out;

    (void)state;
    strbuf_init(&out);
    assert_true(encoded_word_decode("a\0=?utf-8?q?=00b?=", 18, &out));
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "a\0\0b", 4);
    strbuf_fini(&out);
}

/* As many character sets as a header may have, and one more. */
static void test_decode_stops_at_too_many_charsets(void **state)
{
    struct strbuf text;
    struct strbuf out;

    (void)state;
    strbuf_init(&text);
    strbuf_init(&out);
    for (unsigned i = 1; i < ENCODED_WORD_MAX_CHARSETS; i++) {
        strbuf_appendf(&text, "=?nope%u?q?a?=", i);
    }
    strbuf_append(&text, "=?utf-8?q?first?= =?iso-8859-1?q?second?= =?utf-8?q?third?=");
    assert_true(encoded_word_decode(text.data, text.len, &out));
    assert_non_null(strstr(out.data, "?=first =?iso-8859-1?q?second?= third"));
    strbuf_fini(&text);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_reads_b_and_q),
        cmocka_unit_test(test_decode_leaves_what_is_none),
        cmocka_unit_test(test_decode_joins_words),
        cmocka_unit_test(test_decode_replaces_wrong_bytes),
        cmocka_unit_test(test_decode_takes_nul_bytes),
        cmocka_unit_test(test_decode_stops_at_too_many_charsets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
