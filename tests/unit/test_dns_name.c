/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_name.h"
#include "lib/dns/dns_server.h"
#include "lib/mail/idna.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static void test_idna_makes_a_labels(void **state)
{
    static const struct {
        const char *name;
        const char *ascii; /* NULL: refused */
    } cases[] = {
        {"B\xc3\xbc"
         "cher.Example",
         "xn--bcher-kva.example"},
        {"stra\xc3\x9f"
         "e.example",
         "xn--strae-oqa.example"},
        {"\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d"},
        {"a\xe3\x80\x82\xc3\xbc",
         NULL}, /* the ideographic full stop is no dot in SMTP (RFC 6531) */
        {"\xef\xbb\xbfplain.example", NULL}, /* without width, wide: nobody's */
        {"\xef\xbd\x81.example", NULL},
        {"\xc3\xbc\xef\xbb\xbf.Plain.example", "xn--tda.plain.example"},
        {"_DMARC.Example", "_dmarc.example"},
        {"plain.example", "plain.example"},
        {"a\xff.example", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[IDNA_NAME_SIZE];
        bool done = idna_to_ascii(cases[i].name, out);

        if (done != (cases[i].ascii != NULL) || strcmp(out, done ? cases[i].ascii : "") != 0) {
            fail_msg("%s: %d \"%s\"", cases[i].name, done, out);
        }
    }
    assert_false(idna_is_needed("plain.example"));
    assert_true(idna_is_needed("\xc3\xbc"));
}

static void test_normalize_takes_what_can_be_asked(void **state)
{
    static const struct {
        const char *name;
        const char *normal; /* NULL: no name */
    } cases[] = {
        {"Mail.Example.", "mail.example"},
        {"_tcp.a-b.example", "_tcp.a-b.example"},
        {"a", "a"},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {LABEL63 "." LABEL63, LABEL63 "." LABEL63},
        {LABEL63 "a.example", NULL},
        {LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, NULL},
        {LABEL63 "." LABEL63 "." LABEL63
                 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi",
         LABEL63 "." LABEL63 "." LABEL63
                 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"},
        {"", NULL},
        {".", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {"a..", NULL},
        {"a b.example", NULL},
        {"a\tb", NULL},
        {"a\\.b", NULL},
        {"[192.0.2.1]", NULL},
        {"a\xff.example", NULL},
        {"\xe2\x80\x8b.example", NULL}, /* IDNA leaves nothing of the label */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[DNS_NAME_SIZE];
        bool done = dns_name_normalize(cases[i].name, out);

        if (done != (cases[i].normal != NULL) || strcmp(out, done ? cases[i].normal : "") != 0) {
            fail_msg("%s: %d \"%s\"", cases[i].name, done, out);
        }
        assert_true(!done || dns_name_is_valid(out));
    }
}

static void test_is_host_asks_for_letters_digits_hyphens(void **state)
{
    static const char *const hosts[] = {"a.example", "1.example", "a-b.c3", "xn--tda.example",
                                        "3com.com"};
    static const char *const others[] = {"a",         "a_b.example", "-a.example", "a-.example",
                                         "192.0.2.1", "a.123",       "a..b",       "",
                                         "a.b-",      "a.exam!ple",  "[a.b]"};

    (void)state;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        if (!dns_name_is_host(hosts[i])) {
            fail_msg("%s", hosts[i]);
        }
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        if (dns_name_is_host(others[i])) {
            fail_msg("%s", others[i]);
        }
    }
}

static void test_reverse_is_as_lists_have_it(void **state)
{
    static const struct {
        const char *addr;
        const char *zone;
        const char *name; /* NULL: none */
    } cases[] = {
        {"192.0.2.99", "bl.example", "99.2.0.192.bl.example"},
        {"192.0.2.99", NULL, "99.2.0.192.in-addr.arpa"},
        {"::ffff:127.0.0.2", "bl.example", "2.0.0.127.bl.example"},
        {"2001:db8:1:2:3:4:567:89ab", "ugly.example.com",
         "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"},
        {"::1", NULL, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
        {"192.0.2.99", "no zone", NULL},
        {"none", "bl.example", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[DNS_NAME_SIZE];
        struct netaddr addr;

        (void)netaddr_parse(cases[i].addr, &addr);
        bool done = dns_name_reverse(&addr, cases[i].zone, out);

        if (done != (cases[i].name != NULL) || strcmp(out, done ? cases[i].name : "") != 0) {
            fail_msg("%s: %d \"%s\"", cases[i].addr, done, out);
        }
    }
}

static void test_under_joins_two_names(void **state)
{
    char out[DNS_NAME_SIZE];

    (void)state;
    assert_true(dns_name_under("Spam.Example.", "DBL.example", out));
    assert_string_equal(out, "spam.example.dbl.example");
    assert_true(dns_name_under(LABEL63 "." LABEL63 "." LABEL63, &LABEL63[2], out));
    assert_int_equal(strlen(out), DNS_NAME_SIZE - 1);
    assert_false(dns_name_under(LABEL63 "." LABEL63 "." LABEL63, &LABEL63[1], out));
    assert_false(dns_name_under("", "a.example", out));
    assert_string_equal(out, "");
}

static void test_equal_forgives_case_and_last_dot(void **state)
{
    (void)state;
    assert_true(dns_name_equal("A.example", "a.Example."));
    assert_true(dns_name_equal("", "."));
    assert_false(dns_name_equal("a.example", "a.example2"));
    assert_false(dns_name_equal("a.example", "b.example"));
}

static void test_server_is_an_address_and_a_port(void **state)
{
    static const struct {
        const char *text;
        const char *server; /* NULL: none */
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:53"},
        {"127.0.0.1:5353", "127.0.0.1:5353"},
        {"::1", "[::1]:53"},
        {"[::1]", "[::1]:53"},
        {"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:0", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:53x", NULL},
        {"[::1", NULL},
        {"[::1]53", NULL},
        {"dns.example", NULL},
        {"", NULL},
        {"127.0.0.1:123456", NULL},
        {":53", NULL},
        {"127.0.0.1/8", NULL},
        {"::1:53", NULL}, /* which of two */
        {"2001:db8::1:5", NULL},
        {"[2001:db8::1:5]", "[2001:db8::1:5]:53"},
        {"2001:db8::53", "[2001:db8::53]:53"},
        {"2001:db8:0:0:0:0:0:53", "[2001:db8::53]:53"},
        {"2001:db8::1:5a", "[2001:db8::1:5a]:53"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[DNS_SERVER_TEXT_SIZE];
        struct dns_server server;
        bool done = dns_server_parse(cases[i].text, &server);

        if (done != (cases[i].server != NULL) ||
            (done && strcmp(dns_server_format(&server, text), cases[i].server) != 0)) {
            fail_msg("%s: %d", cases[i].text, done);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idna_makes_a_labels),
        cmocka_unit_test(test_normalize_takes_what_can_be_asked),
        cmocka_unit_test(test_is_host_asks_for_letters_digits_hyphens),
        cmocka_unit_test(test_reverse_is_as_lists_have_it),
        cmocka_unit_test(test_under_joins_two_names),
        cmocka_unit_test(test_equal_forgives_case_and_last_dot),
        cmocka_unit_test(test_server_is_an_address_and_a_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
