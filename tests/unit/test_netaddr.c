/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mail/netaddr.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse_address(void **state)
{
    static const struct {
        const char *text;
        const char *formatted; /* NULL: no address */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8::1", "IPv6:2001:db8:0:0:0:0:0:1"},
        {"IPv6:2001:DB8::1", "IPv6:2001:db8:0:0:0:0:0:1"},
        {"ipv6:2001:0db8:0:0:0:0:0:0001", "IPv6:2001:db8:0:0:0:0:0:1"},
        {"::", "IPv6:0:0:0:0:0:0:0:0"},
        {"IPv6:::1", "IPv6:0:0:0:0:0:0:0:1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"IPv6:0:0:0:0:0:ffff:c000:201", "192.0.2.1"},
        {"::192.0.2.1", "IPv6:0:0:0:0:0:0:c000:201"},
        {"fe80:1:2:3:4:5:6:7", "IPv6:fe80:1:2:3:4:5:6:7"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.", NULL},
        {"192.0.2.1.", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.01", NULL},
        {"192.0.2.1.1", NULL},
        {"192.0.2.-1", NULL},
        {"192.0.2.1 ", NULL},
        {" 192.0.2.1", NULL},
        {"1192.0.2.1", NULL},
        {"host.example", NULL},
        {"IPv6", NULL},
        {"IPv6:", NULL},
        {"IPv6:192.0.2.1", NULL},
        {"IPv6:2001:db8", NULL},
        {"2001:db8", NULL},
        {"2001:db8::1::2", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"12345::", NULL},
        {"g::", NULL},
        {"2001:db8::1/64", NULL},
        {"fe80::1%eth0", NULL},
        {"[192.0.2.1]", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[NETADDR_TEXT_SIZE];
        struct netaddr addr;
        bool found = netaddr_parse(cases[i].text, &addr);

        if (found != (cases[i].formatted != NULL)) {
            fail_msg("\"%s\" should be %s address", cases[i].text, found ? "no" : "an");
        }
        if (found) {
            assert_string_equal(netaddr_format(&addr, buf), cases[i].formatted);
            assert_int_equal(addr.bits, netaddr_width(addr.family));
        } else {
            assert_int_equal(addr.family, NETADDR_NONE);
            assert_string_equal(netaddr_format(&addr, buf), "");
        }
    }
}

static void test_parse_network(void **state)
{
    static const struct {
        const char *text;
        const char *formatted; /* NULL: no network */
        unsigned bits;
        bool host_bits;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", 32, false},
        {"192.0.2.1/32", "192.0.2.1", 32, false},
        {"192.0.2", "192.0.2", 24, false},
        {"192.0.2.0/24", "192.0.2", 24, false},
        {"192.0.2.0/25", "192.0.2.0/25", 25, false},
        {"192.0.2.128/25", "192.0.2.128/25", 25, false},
        {"192.0.2.1/25", "192.0.2.0/25", 25, true},
        {"192.0.2.192/25", "192.0.2.128/25", 25, true},
        {"10", "10", 8, false},
        {"10.1", "10.1", 16, false},
        {"10.0.0.0/8", "10", 8, false},
        {"10.0.0.0/9", "10.0.0.0/9", 9, false},
        {"0.0.0.0/0", "0.0.0.0/0", 0, false},
        {"10.0.0.0/0", "0.0.0.0/0", 0, true},
        {"IPv6", "IPv6", 0, false},
        {"ipv6:2001:DB8", "IPv6:2001:db8", 32, false},
        {"IPv6:2001:0db8", "IPv6:2001:db8", 32, false},
        {"IPv6:2001:db8::/32", "IPv6:2001:db8", 32, false},
        {"2001:db8::/32", "IPv6:2001:db8", 32, false},
        {"2001:db8::/33", "IPv6:2001:db8:0:0:0:0:0:0/33", 33, false},
        {"2001:db8:8000::/33", "IPv6:2001:db8:8000:0:0:0:0:0/33", 33, false},
        {"2001:db8:c000::/33", "IPv6:2001:db8:8000:0:0:0:0:0/33", 33, true},
        {"::/0", "IPv6", 0, false},
        {"2001:db8::1/128", "IPv6:2001:db8:0:0:0:0:0:1", 128, false},
        {"IPv6:1:2:3:4:5:6:7:8", "IPv6:1:2:3:4:5:6:7:8", 128, false},
        {"::ffff:192.0.2.0/120", "192.0.2", 24, false},
        {"::ffff:0:0/96", "0.0.0.0/0", 0, false},
        {"IPv6:0:0:0:0:0:ffff", "IPv6:0:0:0:0:0:ffff", 96, false},
        {"192.0.2.0/33", NULL, 0, false},
        {"192.0.2/24", NULL, 0, false},
        {"192.0.2.0/", NULL, 0, false},
        {"192.0.2.0/024", NULL, 0, false},
        {"192.0.2.0/24/", NULL, 0, false},
        {"192.0.2.0/+4", NULL, 0, false},
        {"192.0.2.0/4294967320", NULL, 0, false},
        {"/24", NULL, 0, false},
        {"2001:db8::/129", NULL, 0, false},
        {"256", NULL, 0, false},
        {"010", NULL, 0, false},
        {"1.2.3.4.5", NULL, 0, false},
        {"", NULL, 0, false},
        {"2001:db8", NULL, 0, false},
        {"IPv6:2001:db8:", NULL, 0, false},
        {"IPv6:1:2:3:4:5:6:7:8:9", NULL, 0, false},
        {"IPv6:12345", NULL, 0, false},
        {"example", NULL, 0, false},
        {"0000000000000000000000000000000000000000000000000000000000000000::/1", NULL, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[NETADDR_TEXT_SIZE];
        struct netaddr network;
        bool host_bits;
        bool found = netaddr_parse_network(cases[i].text, &network, &host_bits);

        if (found != (cases[i].formatted != NULL && !cases[i].host_bits) ||
            host_bits != cases[i].host_bits) {
            fail_msg("\"%s\": found %d, host bits %d", cases[i].text, found, host_bits);
        }
        if (cases[i].formatted != NULL) {
            assert_string_equal(netaddr_format(&network, buf), cases[i].formatted);
            assert_int_equal(network.bits, cases[i].bits);
        } else {
            assert_int_equal(network.family, NETADDR_NONE);
        }
    }
}

static void test_format_is_read_back(void **state)
{
    static const char *const texts[] = {"203.0.113.255", "2001:db8:ffff:eeee:dddd:cccc:bbbb:aaaa"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct netaddr addr;

        assert_true(netaddr_parse(texts[i], &addr));
        for (unsigned bits = 0; bits <= netaddr_width(addr.family); bits++) {
            char buf[NETADDR_TEXT_SIZE];
            struct netaddr network = netaddr_masked(&addr, bits);
            struct netaddr again;
            bool host_bits;

            assert_true(netaddr_parse_network(netaddr_format(&network, buf), &again, &host_bits));
            assert_true(netaddr_equal(&network, &again));
            assert_true(netaddr_contains(&network, &addr));
            assert_int_equal(netaddr_contains(&addr, &network), bits == netaddr_width(addr.family));
        }
    }
}

static void test_contains(void **state)
{
    static const struct {
        const char *network;
        const char *addr;
        bool inside;
    } cases[] = {
        {"192.0.2.0/25", "192.0.2.127", true},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"10", "10.255.255.255", true},
        {"10", "11.0.0.0", false},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "::1", false},
        {"IPv6", "::1", true},
        {"IPv6", "10.0.0.1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"10.1", "::ffff:10.1.2.3", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct netaddr network;
        struct netaddr addr;
        bool host_bits;

        assert_true(netaddr_parse_network(cases[i].network, &network, &host_bits));
        assert_true(netaddr_parse(cases[i].addr, &addr));
        if (netaddr_contains(&network, &addr) != cases[i].inside) {
            fail_msg("%s in %s should be %d", cases[i].addr, cases[i].network, cases[i].inside);
        }
    }
}

static void test_none_is_in_nothing(void **state)
{
    struct netaddr none;
    struct netaddr addr;

    (void)state;
    assert_false(netaddr_parse("x", &none));
    assert_true(netaddr_parse("10.0.0.1", &addr));
    assert_false(netaddr_contains(&none, &none));
    assert_false(netaddr_contains(&none, &addr));
    assert_false(netaddr_equal(&none, &addr));
    assert_int_equal(netaddr_width(NETADDR_NONE), 0);
}

static void test_masked_never_widens(void **state)
{
    char buf[NETADDR_TEXT_SIZE];
    struct netaddr network;
    bool host_bits;

    (void)state;
    assert_true(netaddr_parse_network("10.1", &network, &host_bits));
    network = netaddr_masked(&network, 24);
    assert_string_equal(netaddr_format(&network, buf), "10.1");
    network = netaddr_masked(&network, 200);
    assert_string_equal(netaddr_format(&network, buf), "10.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_address),       cmocka_unit_test(test_parse_network),
        cmocka_unit_test(test_format_is_read_back), cmocka_unit_test(test_contains),
        cmocka_unit_test(test_none_is_in_nothing),  cmocka_unit_test(test_masked_never_widens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
