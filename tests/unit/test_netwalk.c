/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/netwalk.h"

#include "lib/table/table_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct walk_case {
    const char *names[6]; /* of the table; NULL ends them */
    const char *addr;
    const char *keys;
} cases[] = {
    /* whole octets and groups are asked for whatever the table holds */
    {{NULL}, "192.0.2.1", " 192.0.2.1 192.0.2 192.0 192"},
    {{"b.test", "192.0"}, "192.0.2.1", " 192.0.2.1 192.0.2 192.0 192"},
    {{NULL},
     "2001:db8::1",
     " ipv6:2001:db8:0:0:0:0:0:1 ipv6:2001:db8:0:0:0:0:0 ipv6:2001:db8:0:0:0:0 ipv6:2001:db8:0:0:0"
     " ipv6:2001:db8:0:0 ipv6:2001:db8:0 ipv6:2001:db8 ipv6:2001 ipv6"},
    /* other lengths only if there are such keys, each in its place */
    {{"192.0.2.0/25", "10.0.0.0/9"},
     "192.0.2.200",
     " 192.0.2.200 192.0.2.128/25 192.0.2 192.0 192.0.0.0/9 192"},
    {{"192.0.2.2/31", "192.0.2.0/30", "192.0.2.0/23"},
     "192.0.2.3",
     " 192.0.2.3 192.0.2.2/31 192.0.2.0/30 192.0.2 192.0.2.0/23 192.0 192"},
    {{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"},
     "10.1.2.3",
     " 10.1.2.3 10.1.2 10.1 10"},
    {{"128.0.0.0/1"}, "200.1.2.3", " 200.1.2.3 200.1.2 200.1 200 128.0.0.0/1"},
    {{"0.0.0.0/0"}, "200.1.2.3", " 200.1.2.3 200.1.2 200.1 200 0.0.0.0/0"},
    {{"IPv6:2001:db8::/33", "IPv6:2001:db8::/127"},
     "2001:db8:8000::3",
     " ipv6:2001:db8:8000:0:0:0:0:3 ipv6:2001:db8:8000:0:0:0:0:2/127 ipv6:2001:db8:8000:0:0:0:0"
     " ipv6:2001:db8:8000:0:0:0 ipv6:2001:db8:8000:0:0 ipv6:2001:db8:8000:0 ipv6:2001:db8:8000"
     " ipv6:2001:db8:8000:0:0:0:0:0/33 ipv6:2001:db8 ipv6:2001 ipv6"},
    /* the lengths of the other family do not matter */
    {{"192.0.2.0/25"}, "::1", NULL},
    {{"IPv6:2001:db8::/33"}, "192.0.2.1", " 192.0.2.1 192.0.2 192.0 192"},
};

static void walk(const struct walk_case *c, char *out, size_t size)
{
    struct table *table;
    struct netaddr addr;
    struct netwalk walk;
    struct diag diag;
    char key[NETADDR_TEXT_SIZE];
    size_t count = 0;

    while (count < COUNT(c->names) && c->names[count] != NULL) {
        count++;
    }
    diag_init(&diag, NULL, NULL);
    table = table_list_new("list", "conf", (char *const *)c->names, count, &diag);
    assert_non_null(table);
    assert_true(netaddr_parse(c->addr, &addr));
    *out = '\0';
    netwalk_init(&walk, table, &addr);
    while (netwalk_next(&walk, key)) {
        size_t len = strlen(out);

        assert_true(len + strlen(key) + 2 < size); /* it ends */
        (void)snprintf(out + len, size - len, " %s", key);
    }
    assert_false(netwalk_next(&walk, key)); /* and stays ended */
    table_unref(&table);
}

static void test_next_each_case(void **state)
{
    char got[2048];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        walk(&cases[i], got, sizeof(got));
        if (cases[i].keys != NULL && strcmp(got, cases[i].keys) != 0) {
            fail_msg("case %zu, %s:%s", i, cases[i].addr, got);
        }
        assert_null(strstr(got, cases[i].keys == NULL ? "/25" : "//"));
    }
}

static void test_next_with_all_lengths_gets_shorter(void **state)
{
    struct table *table;
    struct netaddr addr;
    struct netwalk walk;
    struct diag diag;
    char names[33][NETADDR_TEXT_SIZE];
    char *list[33];
    char key[NETADDR_TEXT_SIZE];
    int bits = 33;

    (void)state;
    assert_true(netaddr_parse("255.255.255.255", &addr));
    for (unsigned i = 0; i <= 32; i++) {
        struct netaddr network = netaddr_masked(&addr, i);

        list[i] = names[i];
        (void)netaddr_format(&network, names[i]);
    }
    diag_init(&diag, NULL, NULL);
    table = table_list_new("list", "conf", list, 33, &diag);
    assert_non_null(table);
    netwalk_init(&walk, table, &addr);
    while (netwalk_next(&walk, key)) {
        bits--;
        assert_in_range(bits, 0, 32);
        assert_string_equal(key, names[bits]);
    }
    assert_int_equal(bits, 0);
    table_unref(&table);
}

static void test_next_without_an_address(void **state)
{
    struct table *table;
    struct netaddr addr = {.family = NETADDR_NONE};
    struct netwalk walk;
    struct diag diag;
    char key[NETADDR_TEXT_SIZE];

    (void)state;
    diag_init(&diag, NULL, NULL);
    table = table_list_new("list", "conf", NULL, 0, &diag);
    assert_non_null(table);
    netwalk_init(&walk, table, &addr);
    assert_false(netwalk_next(&walk, key));
    table_unref(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_each_case),
        cmocka_unit_test(test_next_with_all_lengths_gets_shorter),
        cmocka_unit_test(test_next_without_an_address),
    };

    return cmocka_run_group_tests_name("netwalk", tests, NULL, NULL);
}
