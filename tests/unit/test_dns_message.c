/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages are made by dns_zone, then bent where a test needs it. */
#include "lib/base/xalloc.h"
#include "lib/dns/dns_message.h"
#include "tests/unit/dns_zone.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADER 12

static const char zone_text[] = "a.example 100 A 192.0.2.1\n"
                                "a.example 50 A 192.0.2.2\n"
                                "a.example AAAA 2001:db8::1\n"
                                "mapped.example AAAA ::ffff:192.0.2.9\n"
                                "m.example MX 20 b.example\n"
                                "m.example MX 10 C.Example\n"
                                "m.example MX 10 a.example\n"
                                "null.example MX 0 .\n"
                                "t.example TXT \"some text\"\n"
                                "p.example PTR host.example\n"
                                "c1.example 9 CNAME c2.example\n"
                                "c2.example 900 CNAME a.example\n"
                                "cm.example CNAME nothere.example\n"
                                "cn.example CNAME m.example\n"
                                "loop.example CNAME loop2.example\n"
                                "loop2.example CNAME loop.example\n"
                                "many.example MANY 200\n"
                                "old.example NOSOA\n"
                                "other.example REFERRAL\n"
                                "fail.example SERVFAIL\n"
                                "no.example REFUSED\n"
                                "junk.example GARBAGE\n"
                                "junk.example A 192.0.2.1\n";

struct exchange {
    struct dns_zone *zone;
    struct dns_zone_reply *reply;
    struct dns_result *result;
};

static int setup(void **state)
{
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));

    exchange->zone = dns_zone_new(zone_text);
    exchange->reply = xcalloc(1, sizeof(*exchange->reply));
    *state = exchange;
    return 0;
}

static int teardown(void **state)
{
    struct exchange *exchange = *state;

    dns_zone_free(&exchange->zone);
    free(exchange->reply);
    free(exchange->result);
    free(exchange);
    return 0;
}

/* Makes the reply, without reading it. */
static void answer(struct exchange *exchange, const char *name, enum dns_type type)
{
    uint8_t question[DNS_MESSAGE_QUESTION_SIZE];
    size_t len = dns_message_question(question, name, (unsigned)type, 77, DNS_MESSAGE_UDP_SIZE);

    (void)memset(exchange->reply, 0, sizeof(*exchange->reply));
    assert_true(dns_zone_answer(exchange->zone, question, len, true, exchange->reply));
}

/* From memory of exactly that size, so that a sanitizer sees what is read beyond it. */
static const struct dns_result *read_part(struct exchange *exchange, const char *name,
                                          enum dns_type type, size_t len)
{
    uint8_t *message = xmalloc(len > 0 ? len : 1);

    (void)memcpy(message, exchange->reply->message, len);
    free(exchange->result);
    exchange->result = dns_message_read(message, len, name, type);
    free(message);
    return exchange->result;
}

static const struct dns_result *ask(struct exchange *exchange, const char *name, enum dns_type type)
{
    answer(exchange, name, type);
    return read_part(exchange, name, type, exchange->reply->len);
}

/* ---- questions ---- */

static void test_question_is_what_rfc_1035_says(void **state)
{
    static const uint8_t plain[] = "\xbe\xef\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\xf\0\1";
    static const uint8_t root[] = "\0\1\1\0\0\1\0\0\0\0\0\1\0\0\2\0\1\0\0\x29\4\xd0\0\0\0\0\0\0";
    uint8_t out[DNS_MESSAGE_QUESTION_SIZE];

    (void)state;
    assert_int_equal(dns_message_question(out, "a.example", DNS_MX, 0xbeef, 0), sizeof(plain) - 1);
    assert_memory_equal(out, plain, sizeof(plain) - 1);
    assert_int_equal(dns_message_question(out, "", DNS_MESSAGE_TYPE_NS, 1, 1232), sizeof(root) - 1);
    assert_memory_equal(out, root, sizeof(root) - 1);
}

/* ---- what is there ---- */

static void test_read_addresses(void **state)
{
    const struct dns_result *result = ask(*state, "a.example", DNS_A);
    char text[NETADDR_TEXT_SIZE];

    assert_int_equal(result->status, DNS_FOUND);
    assert_int_equal(result->count, 2);
    assert_int_equal(result->ttl, 50); /* the lower one */
    assert_string_equal(result->name, "a.example");
    assert_string_equal(netaddr_format(&result->records[0].addr, text), "192.0.2.1");
    assert_string_equal(netaddr_format(&result->records[1].addr, text), "192.0.2.2");
    result = ask(*state, "a.example", DNS_AAAA);
    assert_int_equal(result->count, 1);
    assert_string_equal(netaddr_format_short(&result->records[0].addr, text), "2001:db8::1");
    result = ask(*state, "mapped.example", DNS_AAAA);
    assert_string_equal(netaddr_format_short(&result->records[0].addr, text), "192.0.2.9");
}

static void test_read_mx_lowest_preference_first(void **state)
{
    const struct dns_result *result = ask(*state, "m.example", DNS_MX);

    assert_int_equal(result->count, 3);
    assert_int_equal(result->records[0].preference, 10);
    assert_string_equal(result->records[0].text, "c.example");
    assert_string_equal(result->records[1].text, "a.example");
    assert_int_equal(result->records[2].preference, 20);
    result = ask(*state, "null.example", DNS_MX);
    assert_int_equal(result->count, 1);
    assert_string_equal(result->records[0].text, "");
}

static void test_read_texts_and_names(void **state)
{
    assert_string_equal(ask(*state, "t.example", DNS_TXT)->records[0].text, "some text");
    assert_string_equal(ask(*state, "p.example", DNS_PTR)->records[0].text, "host.example");
    assert_string_equal(ask(*state, "c1.example", DNS_CNAME)->records[0].text, "c2.example");
}

static void test_read_follows_cnames(void **state)
{
    const struct dns_result *result = ask(*state, "c1.example", DNS_A);

    assert_int_equal(result->status, DNS_FOUND);
    assert_int_equal(result->cnames, 2);
    assert_string_equal(result->name, "a.example");
    assert_int_equal(result->ttl, 9);
    result = ask(*state, "cm.example", DNS_A);
    assert_int_equal(result->status, DNS_NXDOMAIN);
    assert_string_equal(result->name, "nothere.example");
    result = ask(*state, "cn.example", DNS_A);
    assert_int_equal(result->status, DNS_NODATA);
    assert_string_equal(result->name, "m.example");
    result = ask(*state, "loop.example", DNS_A);
    assert_int_equal(result->status, DNS_TEMPFAIL);
    assert_int_equal(result->failure, DNS_FAILURE_LOOP);
}

static void test_read_keeps_a_bounded_part_of_large_answers(void **state)
{
    const struct dns_result *result = ask(*state, "many.example", DNS_A);

    assert_int_equal(result->count, DNS_RECORDS_MAX);
    assert_true(result->cut);
    result = ask(*state, "many.example", DNS_MX);
    assert_int_equal(result->count, DNS_RECORDS_MAX);
    assert_true(result->cut);
    /* They came with the highest first: the best are kept. */
    assert_int_equal(result->records[0].preference, 1);
    assert_int_equal(result->records[DNS_RECORDS_MAX - 1].preference, DNS_RECORDS_MAX);
    result = ask(*state, "many.example", DNS_TXT);
    assert_true(result->cut);
    assert_in_range(result->count, 10, DNS_RECORDS_MAX);
    assert_in_range(result->bytes, 1000, DNS_TEXT_MAX + 8000);
}

/* ---- what is not ---- */

static void test_read_negative_ttl_comes_from_the_soa(void **state)
{
    const struct dns_result *result = ask(*state, "nothere.example", DNS_A);

    assert_int_equal(result->status, DNS_NXDOMAIN);
    assert_int_equal(result->ttl, 60);
    result = ask(*state, "a.example", DNS_MX);
    assert_int_equal(result->status, DNS_NODATA);
    assert_int_equal(result->ttl, 60);
    assert_int_equal(result->count, 0);
    result = ask(*state, "old.example", DNS_A);
    assert_int_equal(result->status, DNS_NODATA);
    assert_int_equal(result->ttl, 0);
}

static void test_read_failures(void **state)
{
    assert_int_equal(ask(*state, "fail.example", DNS_A)->failure, DNS_FAILURE_SERVFAIL);
    assert_int_equal(ask(*state, "no.example", DNS_A)->failure, DNS_FAILURE_REFUSED);
    assert_int_equal(ask(*state, "other.example", DNS_A)->failure, DNS_FAILURE_REFUSED);
    assert_int_equal(ask(*state, "junk.example", DNS_A)->failure, DNS_FAILURE_MALFORMED);
    assert_int_equal(ask(*state, "junk.example", DNS_A)->status, DNS_TEMPFAIL);
}

/* ---- what is bent ---- */

static void test_read_refuses_answers_to_other_questions(void **state)
{
    struct exchange *exchange = *state;

    answer(exchange, "a.example", DNS_A);
    size_t len = exchange->reply->len;

    assert_int_equal(read_part(exchange, "b.example", DNS_A, len)->failure, DNS_FAILURE_MALFORMED);
    assert_int_equal(read_part(exchange, "a.example", DNS_MX, len)->failure, DNS_FAILURE_MALFORMED);
    exchange->reply->message[2] &= 0x7f; /* a question, no answer */
    assert_int_equal(read_part(exchange, "a.example", DNS_A, len)->failure, DNS_FAILURE_MALFORMED);
    exchange->reply->message[2] |= 0x82; /* cut */
    assert_int_equal(read_part(exchange, "a.example", DNS_A, len)->failure, DNS_FAILURE_MALFORMED);
    assert_true(dns_message_is_truncated(exchange->reply->message, len));
    assert_false(dns_message_is_truncated(exchange->reply->message, 3));
}

static void test_read_forgives_case_of_names(void **state)
{
    struct exchange *exchange = *state;

    answer(exchange, "a.example", DNS_A);
    exchange->reply->message[HEADER + 1] = 'A'; /* as a server that mixes cases might */
    assert_int_equal(read_part(exchange, "a.example", DNS_A, exchange->reply->len)->count, 2);
}

static void test_read_refuses_every_shorter_message(void **state)
{
    struct exchange *exchange = *state;

    answer(exchange, "c1.example", DNS_A);
    for (size_t len = 0; len < exchange->reply->len; len++) {
        if (read_part(exchange, "c1.example", DNS_A, len)->failure != DNS_FAILURE_MALFORMED) {
            fail_msg("%zu of %zu bytes", len, exchange->reply->len);
        }
    }
    assert_int_equal(read_part(exchange, "c1.example", DNS_A, exchange->reply->len)->status,
                     DNS_FOUND);
}

/* A message with one answer, whose data are given; the owner is a pointer to the question. */
static size_t bend(struct exchange *exchange, enum dns_type type, const char *data, size_t len)
{
    struct dns_zone_reply *reply = exchange->reply;
    const uint8_t record[] = {0xc0, HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 1, 0, 0, (uint8_t)len};

    answer(exchange, "x.example", type);
    size_t at = HEADER + 11 + 4;

    reply->message[3] = 0x80; /* no error */
    reply->message[7] = 1;
    reply->message[9] = 0;
    (void)memcpy(reply->message + at, record, sizeof(record));
    (void)memcpy(reply->message + at + sizeof(record), data, len);
    return at + sizeof(record) + len;
}

static void test_read_refuses_broken_data(void **state)
{
    static const struct {
        enum dns_type type;
        const char *data;
        size_t len;
        bool good;
    } cases[] = {
        {DNS_A, "\1\2\3\4", 4, true},
        {DNS_A, "\1\2\3", 3, false},
        {DNS_A, "\1\2\3\4\5", 5, false},
        {DNS_AAAA, "\1\2\3\4", 4, false},
        {DNS_MX, "\0\1\1a\0", 5, true},
        {DNS_MX, "\0\1", 2, false},
        {DNS_MX, "\0\1\1a", 4, false},
        {DNS_MX, "\0\1\1a\0\0", 6, false},
        {DNS_MX, "\0\1\xc0\x0c", 4, true},
        {DNS_MX, "\0\1\xc0\x29", 4, false}, /* it points to itself */
        {DNS_MX, "\0\1\xc1\x29", 4, false}, /* and beyond the end */
        {DNS_PTR, "\x40\0", 2, false},      /* a kind of label that there is not */
        {DNS_PTR, "\0", 1, true},
        {DNS_PTR, "", 0, false},
        {DNS_TXT, "\3abc", 4, true},
        {DNS_TXT, "\4abc", 4, false},
        {DNS_TXT, "", 0, false},
        {DNS_TXT, "\0", 1, true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = bend(*state, cases[i].type, cases[i].data, cases[i].len);
        const struct dns_result *result = read_part(*state, "x.example", cases[i].type, len);

        if (result->status != (cases[i].good ? DNS_FOUND : DNS_TEMPFAIL)) {
            fail_msg("%zu: %s %s", i, dns_status_name(result->status),
                     dns_failure_name(result->failure));
        }
    }
}

static void test_read_writes_odd_bytes_so_that_they_stay_odd(void **state)
{
    size_t len = bend(*state, DNS_PTR, "\4a.b\\\2 \xff\0", 9);

    assert_string_equal(read_part(*state, "x.example", DNS_PTR, len)->records[0].text,
                        "a\\046b\\092.\\032\\255");
    len = bend(*state, DNS_TXT, "\4a\0\xff\n\1b", 7);
    assert_string_equal(read_part(*state, "x.example", DNS_TXT, len)->records[0].text, "a?\xff\nb");
}

static void test_read_writes_each_byte_of_a_name(void **state)
{
    for (int byte = 0; byte < 256; byte++) {
        const char name[] = {1, (char)byte, 0};
        bool odd = byte <= ' ' || byte >= 0x7f || byte == '.' || byte == '\\';
        char text[8];

        (void)snprintf(text, sizeof(text), odd ? "\\%03d" : "%c", odd ? byte : tolower(byte));
        size_t len = bend(*state, DNS_PTR, name, sizeof(name));

        assert_string_equal(read_part(*state, "x.example", DNS_PTR, len)->records[0].text, text);
    }
}

static void test_read_ttl_with_its_highest_bit_is_none(void **state)
{
    struct exchange *exchange = *state;
    size_t len = bend(exchange, DNS_A, "\1\2\3\4", 4);

    assert_int_equal(read_part(exchange, "x.example", DNS_A, len)->ttl, 256);
    exchange->reply->message[len - 10] = 0x80;
    assert_int_equal(read_part(exchange, "x.example", DNS_A, len)->ttl, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_is_what_rfc_1035_says),
        TEST(test_read_addresses),
        TEST(test_read_mx_lowest_preference_first),
        TEST(test_read_texts_and_names),
        TEST(test_read_follows_cnames),
        TEST(test_read_keeps_a_bounded_part_of_large_answers),
        TEST(test_read_negative_ttl_comes_from_the_soa),
        TEST(test_read_failures),
        TEST(test_read_refuses_answers_to_other_questions),
        TEST(test_read_forgives_case_of_names),
        TEST(test_read_refuses_every_shorter_message),
        TEST(test_read_refuses_broken_data),
        TEST(test_read_writes_odd_bytes_so_that_they_stay_odd),
        TEST(test_read_writes_each_byte_of_a_name),
        TEST(test_read_ttl_with_its_highest_bit_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
