/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What answers of lists and MX records mean.
 */
#include "lib/dns/dnsbl.h"
#include "lib/dns/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define RECORDS_MAX 4

static void test_range_parse(void **state)
{
    static const struct {
        const char *text;
        bool good;
        bool usable;
        uint32_t first;
        uint32_t last;
    } cases[] = {
        {"127.0.0.2", true, true, 0x7f000002, 0x7f000002},
        {"127.0.0.2.", true, true, 0x7f000002, 0x7f000002},
        {"127.0.0.2-127.0.0.11", true, true, 0x7f000002, 0x7f00000b},
        {"127.0.0.2.-127.0.0.11.", true, true, 0x7f000002, 0x7f00000b},
        {"127.0.1.0/24", true, true, 0x7f000100, 0x7f0001ff},
        {"127.0.0.0/8", true, true, 0x7f000000, 0x7fffffff},
        {"127.0.0.9/32", true, true, 0x7f000009, 0x7f000009},
        {"127.0.0.1", true, false, 0x7f000001, 0x7f000001},
        {"127.255.255.254", true, false, 0x7ffffffe, 0x7ffffffe},
        {"127.255.255.0/24", true, false, 0x7fffff00, 0x7fffffff},
        {"192.0.2.1", true, false, 0xc0000201, 0xc0000201},
        {"127.0.0.2-128.0.0.1", true, false, 0x7f000002, 0x80000001},
        {"0.0.0.0/0", true, false, 0, 0xffffffff},
        {"127.0.0.11-127.0.0.2", false, false, 0, 0},
        {"127.0.1.1/24", false, false, 0, 0},
        {"127.0.0.0/33", false, false, 0, 0},
        {"127.0.0.0/", false, false, 0, 0},
        {"127.0.0.2-", false, false, 0, 0},
        {"127.0.0", false, false, 0, 0},
        {"127.0.0.2/24/8", false, false, 0, 0},
        {"::1", false, false, 0, 0},
        {"", false, false, 0, 0},
        {".", false, false, 0, 0},
        {"127.0.0.[2..11]", false, false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct dnsbl_range range;
        bool usable;
        bool good = dnsbl_range_parse(cases[i].text, &range, &usable);

        if (good != cases[i].good || usable != cases[i].usable ||
            (good && (range.first != cases[i].first || range.last != cases[i].last))) {
            fail_msg("\"%s\": good %d, usable %d, %x-%x", cases[i].text, good, usable,
                     (unsigned)range.first, (unsigned)range.last);
        }
    }
}

/* An answer of these addresses; NULL ends them. */
static struct dns_result *answer(const char *const addresses[RECORDS_MAX])
{
    struct dns_record records[RECORDS_MAX];
    struct dns_result result = {.status = DNS_FOUND, .name = "", .records = records};

    for (; result.count < RECORDS_MAX && addresses[result.count] != NULL; result.count++) {
        records[result.count] = (struct dns_record){.text = ""};
        assert_true(netaddr_parse(addresses[result.count], &records[result.count].addr));
    }
    return dns_result_new(&result);
}

static void test_judge(void **state)
{
    static const struct {
        const char *addresses[RECORDS_MAX];
        enum dnsbl_sense sense;
        int record; /* -1: none */
    } cases[] = {
        {{"127.0.0.4"}, DNSBL_LISTED, 0},
        {{"127.0.0.6"}, DNSBL_LISTED, 0},
        {{"127.0.0.7"}, DNSBL_CLEAN, 0},
        {{"127.0.0.3", "127.0.0.5"}, DNSBL_LISTED, 1},
        {{"127.0.0.5", "127.0.0.3"}, DNSBL_LISTED, 0},
        {{"127.0.0.0"}, DNSBL_CLEAN, 0},
        {{"127.0.0.1"}, DNSBL_ERROR, 0},
        {{"127.255.255.0"}, DNSBL_ERROR, 0},
        {{"127.255.255.255"}, DNSBL_ERROR, 0},
        {{"127.255.254.255"}, DNSBL_CLEAN, 0},
        {{"126.255.255.255"}, DNSBL_ERROR, 0},
        {{"128.0.0.2"}, DNSBL_ERROR, 0},
        {{"192.0.2.80"}, DNSBL_ERROR, 0},
        {{"2001:db8::1"}, DNSBL_ERROR, 0},
        {{"127.0.0.4", "127.255.255.254"}, DNSBL_ERROR, 1},
        {{"192.0.2.80", "127.0.0.4"}, DNSBL_ERROR, 0},
    };
    struct dnsbl_range range = {0x7f000004, 0x7f000006};
    const struct dnsbl_match match = {&range, 1};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct dns_result *result = answer(cases[i].addresses);
        const struct dns_record *record;
        enum dnsbl_sense sense = dnsbl_judge(result, &match, &record);

        if (sense != cases[i].sense || record != &result->records[cases[i].record]) {
            fail_msg("%s: sense %d", cases[i].addresses[0], (int)sense);
        }
        assert_int_equal(dnsbl_judge(result, &match, NULL), sense);
        free(result);
    }
}

static void test_judge_takes_every_listing_where_none_is_named(void **state)
{
    static const char *const addresses[RECORDS_MAX] = {"127.9.9.9"};
    const struct dnsbl_match any = {NULL, 0};
    struct dns_result *result = answer(addresses);

    (void)state;
    assert_int_equal(dnsbl_judge(result, &any, NULL), DNSBL_LISTED);
    free(result);
}

static void test_judge_without_records(void **state)
{
    const struct dnsbl_match any = {NULL, 0};
    const struct dns_record *record;
    struct dns_result result = {.status = DNS_NXDOMAIN, .name = ""};

    (void)state;
    assert_int_equal(dnsbl_judge(&result, &any, &record), DNSBL_CLEAN);
    assert_null(record);
    result.status = DNS_NODATA;
    assert_int_equal(dnsbl_judge(&result, &any, &record), DNSBL_CLEAN);
    result.status = DNS_TEMPFAIL;
    assert_int_equal(dnsbl_judge(&result, &any, &record), DNSBL_UNKNOWN);
    assert_null(record);
}

/* ---- MX ---- */

static void test_mx(void **state)
{
    const struct dns_record records[] = {
        {.preference = 10, .text = "a.test"},
        {.preference = 10, .text = "b.test"},
        {.preference = 20, .text = "c.test"},
    };
    const struct dns_record root[] = {{.preference = 0, .text = ""}};
    struct dns_result mx = {.status = DNS_FOUND, .name = "", .count = 3, .records = records};

    (void)state;
    assert_int_equal(mx_best_count(&mx), 2);
    assert_false(mx_is_null(&mx));
    mx.count = 1;
    assert_int_equal(mx_best_count(&mx), 1);
    assert_false(mx_is_null(&mx));
    mx.records = root;
    assert_true(mx_is_null(&mx));
    mx.count = 0;
    mx.status = DNS_NODATA;
    assert_false(mx_is_null(&mx));
    assert_int_equal(mx_best_count(&mx), 0);
}

static void test_mx_hosts_that_are_illegal(void **state)
{
    (void)state;
    assert_true(mx_host_is_illegal(""));
    assert_true(mx_host_is_illegal("192.0.2.1"));
    assert_false(mx_host_is_illegal("1.test"));
    assert_false(mx_host_is_illegal("localhost"));
}

static void test_mx_addresses_in_networks(void **state)
{
    static const char *const addresses[RECORDS_MAX] = {"192.0.2.1", "10.1.2.3", "127.0.0.1"};
    struct dns_result *result = answer(addresses);
    struct netaddr networks[2];
    bool host_bits;

    (void)state;
    assert_true(netaddr_parse_network("127", &networks[0], &host_bits));
    assert_true(netaddr_parse_network("10", &networks[1], &host_bits));
    assert_ptr_equal(mx_find_address(result, networks, 2), &result->records[1]);
    assert_ptr_equal(mx_find_address(result, networks, 1), &result->records[2]);
    assert_null(mx_find_address(result, networks, 0));
    free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_parse),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_judge_takes_every_listing_where_none_is_named),
        cmocka_unit_test(test_judge_without_records),
        cmocka_unit_test(test_mx),
        cmocka_unit_test(test_mx_hosts_that_are_illegal),
        cmocka_unit_test(test_mx_addresses_in_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
