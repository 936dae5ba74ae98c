/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/mime_scanner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Each header found is written as "part|Name: value;" or "attached|Name: value;". */
static void on_found(void *ctx, enum mime_place place, const char *header, size_t len)
{
    struct strbuf *found = ctx;

    assert_int_equal(strlen(header), len);
    strbuf_appendf(found, "%s|%s;", place == MIME_PLACE_PART ? "part" : "attached", header);
}

/* Scans `body` in pieces of `piece` bytes. */
static void scan(const char *type, const char *body, size_t len, size_t piece, struct strbuf *found,
                 bool *too_deep)
{
    struct mime_scanner scanner;

    strbuf_reset(found);
    mime_scanner_init(&scanner, on_found, found);
    mime_scanner_own_header(&scanner, "Subject", " boundary=b");
    if (type != NULL) {
        mime_scanner_own_header(&scanner, "content-TYPE", type);
    }
    for (size_t at = 0; at < len; at += piece) {
        mime_scanner_body(&scanner, body + at, len - at < piece ? len - at : piece);
    }
    mime_scanner_end(&scanner);
    *too_deep = scanner.too_deep;
    mime_scanner_fini(&scanner);
}

struct scan_case {
    const char *type; /* of the message; NULL: none */
    const char *body;
    const char *found;
};

/* Whatever the pieces, the same is found. */
static void check_cases(const struct scan_case *cases, size_t count)
{
    static const size_t pieces[] = {1, 2, 3, 7, 65536};
    struct strbuf found;
    bool too_deep;

    strbuf_init(&found);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < COUNT(pieces); k++) {
            scan(cases[i].type, cases[i].body, strlen(cases[i].body), pieces[k], &found, &too_deep);
            assert_false(too_deep);
            if (strcmp(found.data, cases[i].found) != 0) {
                fail_msg("case %zu in pieces of %zu: \"%s\", expected \"%s\"", i, pieces[k],
                         found.data, cases[i].found);
            }
        }
    }
    strbuf_fini(&found);
}

static void test_body_finds_the_headers_of_parts(void **state)
{
    static const struct scan_case cases[] = {
        /* not MIME, or one body */
        {NULL, "--b\r\nX: 1\r\n\r\n", ""},
        {" text/plain; boundary=b", "--b\r\nX: 1\r\n\r\n", ""},
        /* preamble, two parts, epilogue */
        {" multipart/mixed; boundary=b",
         "X: no\r\n\r\n--b\r\nX: 1\r\nY: 2\r\n\r\nZ: no\r\n--b\r\n\r\nZ: no\r\n--b--\r\nX: no\r\n",
         "part|X: 1;part|Y: 2;"},
        /* LF alone, no line end at the end, header without end */
        {" multipart/mixed; boundary=b", "--b\nX: 1\n\n--b\nY: 2", "part|X: 1;part|Y: 2;"},
        /* folds; a blank before the colon; nothing behind it */
        {" multipart/mixed; boundary=b", "--b\r\nX: 1\r\n\t2\r\n  3\r\nY  : 4\r\nZ:\r\n\r\n",
         "part|X: 1\n\t2\n  3;part|Y: 4;part|Z:;"},
        /* the fold after no header is no header, and ends them */
        {" multipart/mixed; boundary=b", "--b\r\n X: 1\r\nY: no\r\n", ""},
        /* a line that is no header ends them; it may be the next boundary */
        {" multipart/mixed; boundary=b", "--b\r\nX: 1\r\ngarbage\r\nY: no\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary=b", "--b\r\nX: 1\r\n--b\r\nY: 2\r\n", "part|X: 1;part|Y: 2;"},
        {" multipart/mixed; boundary=b", "--b\r\nX: 1\r\n--b--\r\nY: no\r\n", "part|X: 1;"},
        /* the boundary is a prefix, and what follows it does not matter */
        {" multipart/mixed; boundary=b", "--b1 x\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary=b", "-- b\r\nX: no\r\n\r\n -- b\r\nX: no\r\n", ""},
        {" multipart/mixed; boundary=b", "--b--x\r\nX: no\r\n", ""},
        /* behind the last one nothing begins any more */
        {" multipart/mixed; boundary=b", "--b--\r\n--b\r\nX: no\r\n", ""},
        {" multipart/mixed; boundary=b", "--b-\r\nX: 1\r\n", "part|X: 1;"},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_body_finds_parts_of_parts(void **state)
{
    static const struct scan_case cases[] = {
        {" multipart/mixed; boundary=b",
         "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nX: 1\r\n\r\n--c--\r\n"
         "--c\r\nno: 1\r\n--b\r\nY: 2\r\n",
         "part|Content-Type: multipart/alternative; boundary=c;part|X: 1;part|Y: 2;"},
        /* an inner one that never ends ends with the outer one */
        {" multipart/mixed; boundary=b",
         "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nX: 1\r\n\r\n"
         "--b\r\nY: 2\r\n\r\n--c\r\nno: 1\r\n",
         "part|Content-Type: multipart/alternative; boundary=c;part|X: 1;part|Y: 2;"},
        {" multipart/mixed; boundary=b",
         "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nX: 1\r\n\r\n"
         "--b--\r\n--c\r\nno: 1\r\n",
         "part|Content-Type: multipart/alternative; boundary=c;part|X: 1;"},
        /* two boundaries at once: either one counts */
        {" multipart/mixed; boundary=b; boundary=c", "--b\r\nX: 1\r\n\r\n--c\r\nno: 1\r\n",
         "part|X: 1;"},
        {" multipart/mixed; boundary=b; boundary=c", "--c\r\nX: 1\r\n\r\n--b\r\nY: 2\r\n",
         "part|X: 1;part|Y: 2;"},
        /* the last Content-Type says what it is, and all boundaries count */
        {" multipart/mixed; boundary=b",
         "--b\r\nContent-Type: message/rfc822\r\nContent-Type: text/plain\r\n\r\nX: no\r\n",
         "part|Content-Type: message/rfc822;part|Content-Type: text/plain;"},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_body_finds_the_headers_of_attached_messages(void **state)
{
    static const struct scan_case cases[] = {
        {" message/rfc822", "X: 1\r\n\r\nY: no\r\n", "attached|X: 1;"},
        {" MESSAGE / (a (comment\\)) \"x\") RFC822", "X: 1\r\n\r\n", "attached|X: 1;"},
        {" message/global", "X: 1\r\n\r\n", "attached|X: 1;"},
        {" message/partial", "X: no\r\n\r\n", ""},
        {" message/delivery-status", "X: no\r\n\r\n", ""},
        {" message", "X: no\r\n\r\n", ""},
        {" \"message\"/rfc822", "X: no\r\n\r\n", ""},
        {" message/rfc822",
         "X: 1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nY: 2\r\n",
         "attached|X: 1;attached|Content-Type: multipart/mixed; boundary=b;part|Y: 2;"},
        {" message/rfc822", "Content-Type: message/rfc822\r\n\r\nX: 1\r\n\r\nY: no\r\n",
         "attached|Content-Type: message/rfc822;attached|X: 1;"},
        /* garbage where its header should be */
        {" message/rfc822", "From joe@example.org\r\nX: no\r\n\r\n", ""},
        {" multipart/mixed; boundary=b",
         "--b\r\nContent-Type: message/rfc822\r\n\r\nX: 1\r\n\r\n--b\r\nY: 2\r\n",
         "part|Content-Type: message/rfc822;attached|X: 1;part|Y: 2;"},
        {" multipart/mixed; boundary=b",
         "--b\r\nContent-Type: message/rfc822\r\n\r\nX: 1\r\n--b\r\nY: 2\r\n",
         "part|Content-Type: message/rfc822;attached|X: 1;part|Y: 2;"},
        /* what a digest holds are messages, if nothing else is said that is known */
        {" multipart/digest; boundary=b", "--b\r\n\r\nX: 1\r\n\r\n", "attached|X: 1;"},
        {" multipart/digest; boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nX: no\r\n",
         "part|Content-Type: text/plain;"},
        {" multipart/digest; boundary=b", "--b\r\nContent-Type: image/png\r\n\r\nX: 1\r\n",
         "part|Content-Type: image/png;attached|X: 1;"},
        {" multipart/digest; boundary=b", "--b\r\nContent-Type: ;\r\n\r\nX: no\r\n",
         "part|Content-Type: ;;"},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

static void test_body_reads_boundaries_as_lenient_as_others(void **state)
{
    static const struct scan_case cases[] = {
        {" multipart/mixed; boundary=\"a b\"", "--a b\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary=\"a\\\"b\"", "--a\"b\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary=\"a \n b\"", "--a b\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary=\"ab", "--ab\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; charset=x; BOUNDARY = ab ; y", "--ab\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed;\n\tboundary=ab", "--ab\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary=a/b", "--a\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; boundary==", "--=\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart/mixed; \"boundary\"=b", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; boundary b", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; boundary=", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; boundary=(b)", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; x=\"; boundary=b\"", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; x=(\"; boundary=b", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; boundary=\"\"", "--b\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart; boundary=b", "--b\r\nX: 1\r\n", "part|X: 1;"},
        {" multipart boundary=b", "--b\r\nno: 1\r\n", ""},
        {" multipart/mixed; ; ;boundary=b", "--b\r\nX: 1\r\n", "part|X: 1;"},
        {" application/x; boundary=b", "--b\r\nno: 1\r\n", ""},
        {"", "--b\r\nno: 1\r\n", ""},
    };

    (void)state;
    check_cases(cases, COUNT(cases));
}

/* "--" and a boundary of `len` times 'b'. */
static void append_boundary(struct strbuf *text, size_t len)
{
    strbuf_append(text, "--");
    for (size_t i = 0; i < len; i++) {
        strbuf_append_char(text, 'b');
    }
}

static void test_body_cuts_long_boundaries(void **state)
{
    struct strbuf type;
    struct strbuf body;
    struct strbuf found;
    bool too_deep;

    (void)state;
    strbuf_init(&type);
    strbuf_init(&body);
    strbuf_init(&found);
    strbuf_append(&type, " multipart/mixed; boundary=");
    for (size_t i = 0; i < MIME_SCANNER_BOUNDARY_MAX * 2; i++) {
        strbuf_append_char(&type, 'b');
    }
    /* A line as long as lines may be has no room for so long a boundary: no part begins. */
    append_boundary(&body, MIME_SCANNER_BOUNDARY_MAX * 2);
    strbuf_append(&body, "\r\nX: no\r\n");
    scan(type.data, body.data, body.len, 1000, &found, &too_deep);
    assert_string_equal(found.data, "");
    assert_false(too_deep);
    strbuf_fini(&type);
    strbuf_fini(&body);
    strbuf_fini(&found);
}

static void test_body_cuts_long_headers(void **state)
{
    struct strbuf body;
    struct strbuf found;
    bool too_deep;

    (void)state;
    strbuf_init(&body);
    strbuf_init(&found);
    strbuf_append(&body, "--b\r\nX: 1\r\n");
    for (size_t i = 0; i < MIME_SCANNER_HEADER_MAX; i++) {
        strbuf_append(&body, " folded folded folded\r\n");
    }
    strbuf_append(&body, "Y: 2\r\n\r\n");
    scan(" multipart/mixed; boundary=b", body.data, body.len, 4096, &found, &too_deep);
    assert_in_range(found.len, MIME_SCANNER_HEADER_MAX,
                    MIME_SCANNER_HEADER_MAX + MIME_SCANNER_LINE_MAX + 64);
    assert_non_null(strstr(found.data, " folded;part|Y: 2;"));
    strbuf_fini(&body);
    strbuf_fini(&found);
}

/* What begins a line is found once, however long the line is; its rest is never the beginning of one. */
static void test_body_takes_long_lines_as_one(void **state)
{
    struct strbuf body;
    struct strbuf found;
    bool too_deep;

    (void)state;
    strbuf_init(&body);
    strbuf_init(&found);
    for (size_t i = 0; i < MIME_SCANNER_LINE_MAX; i++) {
        strbuf_append_char(&body, 'x');
    }
    strbuf_append(&body, "--b\r\nX: no\r\n\r\n--b\r\nX: ");
    for (size_t i = 0; i < MIME_SCANNER_LINE_MAX * 2; i++) {
        strbuf_append_char(&body, 'y');
    }
    strbuf_append(&body, "Z: 1\r\n\r\n");
    scan(" multipart/mixed; boundary=b", body.data, body.len, 999, &found, &too_deep);
    assert_memory_equal(found.data, "part|X: yyy", 11);
    assert_string_equal(found.data + 8 + MIME_SCANNER_LINE_MAX * 2, "Z: 1;");
    strbuf_fini(&body);
    strbuf_fini(&found);
}

static void test_body_cuts_headers_at_nul(void **state)
{
    static const char body[] = "--b\r\nX: 1\0no\r\n 2\r\nY\0: no\r\nZ: no\r\n";
    struct strbuf found;
    bool too_deep;

    (void)state;
    strbuf_init(&found);
    scan(" multipart/mixed; boundary=b", body, sizeof(body) - 1, 5, &found, &too_deep);
    assert_string_equal(found.data, "part|X: 1\n 2;");
    strbuf_fini(&found);
}

/* `count` boundaries, each inside the one before. */
static void nest(struct strbuf *body, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        strbuf_appendf(body, "--b%u.\r\nContent-Type: multipart/mixed; boundary=b%u.\r\n\r\n",
                       i - 1, i);
    }
    strbuf_appendf(body, "--b%u.\r\nX: 1\r\n\r\n", count - 1);
}

static void test_body_says_when_it_is_too_deep(void **state)
{
    struct strbuf body;
    struct strbuf found;
    bool too_deep;

    (void)state;
    strbuf_init(&body);
    strbuf_init(&found);
    nest(&body, MIME_SCANNER_DEPTH_MAX);
    scan(" multipart/mixed; boundary=b0.", body.data, body.len, 512, &found, &too_deep);
    assert_false(too_deep);
    assert_non_null(strstr(found.data, "part|X: 1;"));
    strbuf_reset(&body);
    nest(&body, MIME_SCANNER_DEPTH_MAX + 1);
    scan(" multipart/mixed; boundary=b0.", body.data, body.len, 512, &found, &too_deep);
    assert_true(too_deep);
    strbuf_fini(&body);
    strbuf_fini(&found);
}

static void test_is_mime_name(void **state)
{
    (void)state;
    assert_true(mime_scanner_is_mime_name("content-type"));
    assert_true(mime_scanner_is_mime_name("Content-Disposition: x"));
    assert_true(mime_scanner_is_mime_name("MIME-Version : 1.0"));
    assert_false(mime_scanner_is_mime_name("Content-Length"));
    assert_false(mime_scanner_is_mime_name("Content"));
    assert_false(mime_scanner_is_mime_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_finds_the_headers_of_parts),
        cmocka_unit_test(test_body_finds_parts_of_parts),
        cmocka_unit_test(test_body_finds_the_headers_of_attached_messages),
        cmocka_unit_test(test_body_reads_boundaries_as_lenient_as_others),
        cmocka_unit_test(test_body_cuts_long_boundaries),
        cmocka_unit_test(test_body_cuts_long_headers),
        cmocka_unit_test(test_body_takes_long_lines_as_one),
        cmocka_unit_test(test_body_cuts_headers_at_nul),
        cmocka_unit_test(test_body_says_when_it_is_too_deep),
        cmocka_unit_test(test_is_mime_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
