/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/table_kit.h"

#include "lib/table/table_fail.h"
#include "lib/table/table_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct table *open_list(struct kit *kit, const char *text)
{
    kit_write(kit->text, text, strlen(text));
    strbuf_reset(&kit->messages);
    return table_list_open("local_host_names", kit->text, &kit->diag);
}

static void test_names(void **state)
{
    static const struct {
        const char *key;
        bool found;
    } cases[] = {
        {"example.org", true},
        {"b.example", true},
        {"c.example", true},
        {"last.example", true},
        {"dotted.example", true},
        {"[192.0.2.1]", true},
        {"[ipv6:2001:db8:0:0:0:0:0:1]", true},
        {"ipv6:2001:db8:0:0:0:0:0:2", true},
        {"ipv6:2001:db8:1", true},
        {"192.0.2.0/25", true},
        {"10", true},
        {"[not an address", false},
        {"[odd]", true},
        {"Example.org", false}, /* keys come folded */
        {"example.or", false},
        {"example.org.", false},
        {"xample.org", false},
        {"comment", false},
        {"#", false},
        {"", false},
    };
    struct kit *kit = *state;
    struct table *table = open_list(kit, "# comment\n"
                                         "Example.ORG\n"
                                         "\n"
                                         "\t b.example \t\n"
                                         "c.example#comment\n"
                                         "dotted.example.\n"
                                         "[192.0.2.1]\n"
                                         "[2001:DB8::1]\n"
                                         "2001:db8::2\n"
                                         "IPv6:2001:db8:1\n"
                                         "192.0.2.0/25\n"
                                         "10.0.0.0/8\n"
                                         "[odd]\n"
                                         "EXAMPLE.org\n"
                                         "last.example");

    assert_non_null(table);
    assert_string_equal(kit->messages.data, "");
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *value = kit_find(kit, table, cases[i].key);

        if ((value != NULL) != cases[i].found) {
            fail_msg("\"%s\" should be %s", cases[i].key, cases[i].found ? "in" : "out");
        }
        if (value != NULL) {
            assert_string_equal(value, cases[i].key);
        }
    }
    assert_int_equal(table_count(table), 12);
    assert_null(table_failure(table));
    assert_string_equal(table_name(table), "local_host_names");
    assert_string_equal(table_source(table), kit->text);
    table_unref(&table);
    assert_null(table);
}

static void test_lines_are_remembered(void **state)
{
    struct kit *kit = *state;
    struct table *table = open_list(kit, "# c\na\n\nb\nA\n");
    struct table_value value;

    assert_non_null(table);
    assert_int_equal(table_find(table, "a", 1, kit->arena, &value), STATUS_OK);
    assert_int_equal(value.line, 2);
    assert_int_equal(table_find(table, "b", 1, kit->arena, &value), STATUS_OK);
    assert_int_equal(value.line, 4);
    assert_int_equal(table_find(table, "b\0", 2, kit->arena, &value), STATUS_NOTFOUND);
    assert_int_equal(table_find(table, "ba", 1, kit->arena, &value), STATUS_OK);
    table_unref(&table);
}

static void test_prefix_lengths(void **state)
{
    struct kit *kit = *state;
    const unsigned char *lengths;
    struct table *table = open_list(kit, "192.0.2.0/30\n10\n192.0.2.0/25\n198.51.100.0/25\n"
                                         "2001:db8::/33\n2001:db8::/48\n::/127\n");

    assert_non_null(table);
    assert_int_equal(table_prefixes(table, NETADDR_IPV4, &lengths), 2);
    assert_int_equal(lengths[0], 30);
    assert_int_equal(lengths[1], 25);
    assert_int_equal(table_prefixes(table, NETADDR_IPV6, &lengths), 2);
    assert_int_equal(lengths[0], 127);
    assert_int_equal(lengths[1], 33);
    assert_int_equal(table_prefixes(table, NETADDR_NONE, &lengths), 0);
    table_unref(&table);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text;
        const char *messages;
    } cases[] = {
        {"a b\n", "1 error: \"a b\" holds a blank\n"},
        {"ok\n192.0.2.1/24\nx/y\n",
         "2 error: \"192.0.2.1/24\" has bits set behind the prefix length; the network is 192.0.2\n"
         "3 error: \"x/y\" is not a network\n"},
        {"2001:db8::1/64\n", "1 error: \"2001:db8::1/64\" has bits set behind the prefix length; "
                             "the network is IPv6:2001:db8:0:0\n"},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(open_list(kit, cases[i].text));
        assert_string_equal(kit->messages.data, cases[i].messages);
    }
}

static void test_missing_file(void **state)
{
    struct kit *kit = *state;

    assert_null(table_list_open("x", kit->text, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: No such file or directory\n");
    strbuf_reset(&kit->messages);
    assert_null(table_list_open("x", kit->folder, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: cannot be read: Is a directory\n");
    /* A pipe would make whoever opens it wait. */
    strbuf_reset(&kit->messages);
    assert_int_equal(mkfifo(kit->text, 0600), 0);
    assert_null(table_list_open("x", kit->text, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: is not an ordinary file\n");
    assert_int_equal(unlink(kit->text), 0);
}

static void test_array(void **state)
{
    char *const names[] = {(char[]){"Home.Example"}, (char[]){"192.0.2"}};
    char *const wrong[] = {(char[]){"home.example"}, (char[]){"two names"}};
    struct kit *kit = *state;
    struct table *table = table_list_new("local_domains", "postern.conf", names, 2, &kit->diag);

    assert_non_null(table);
    assert_string_equal(kit_find(kit, table, "home.example"), "home.example");
    assert_string_equal(kit_find(kit, table, "192.0.2"), "192.0.2");
    assert_null(kit_find(kit, table, "192.0.3"));
    table_unref(&table);
    assert_null(table_list_new("local_domains", "postern.conf", wrong, 2, &kit->diag));
    assert_string_equal(kit->messages.data, "0 error: \"two names\" holds a blank\n");
}

static void test_empty_list(void **state)
{
    struct kit *kit = *state;
    struct table *table = open_list(kit, "");

    assert_non_null(table);
    assert_int_equal(table_count(table), 0);
    assert_null(kit_find(kit, table, "a"));
    table_unref(&table);
}

static void test_many_names(void **state)
{
    struct kit *kit = *state;
    const unsigned count = 100000;
    struct strbuf text;
    char key[64];

    strbuf_init(&text);
    for (unsigned i = 0; i < count; i++) {
        strbuf_appendf(&text, "Host%u.example\n", i);
    }
    struct table *table = open_list(kit, text.data);

    strbuf_fini(&text);
    assert_non_null(table);
    assert_int_equal(table_count(table), count);
    for (unsigned i = 0; i < 2 * count; i++) {
        (void)snprintf(key, sizeof(key), "host%u.example", i);
        assert_int_equal(kit_find(kit, table, key) != NULL, i < count);
        arena_reset(kit->arena);
    }
    table_unref(&table);
}

static void test_key(void **state)
{
    static const struct {
        const char *typed;
        const char *key;
    } cases[] = {
        {"Host.Example.", "host.example"},
        {"[2001:db8::1]", "[ipv6:2001:db8:0:0:0:0:0:1]"},
        {"10.0.0.0/8", "10"},
        {"::/0", "ipv6"},
        {"[]", "[]"},
        {"[", "["},
        {".", "."},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strbuf key;

        strbuf_init(&key);
        strbuf_append(&key, cases[i].typed);
        table_list_key(&key);
        assert_string_equal(key.data, cases[i].key);
        assert_int_equal(strlen(key.data), key.len);
        strbuf_fini(&key);
    }
}

static void test_fail_table(void **state)
{
    struct kit *kit = *state;
    struct table *table = table_fail_new("access", "/etc/postern/access", "no such luck");
    struct table *second = table_ref(table);
    const unsigned char *lengths;
    struct table_value value;

    table_unref(&table);
    assert_string_equal(table_name(second), "access");
    assert_string_equal(table_source(second), "/etc/postern/access");
    assert_string_equal(table_failure(second), "no such luck");
    assert_int_equal(table_count(second), 0);
    assert_int_equal(table_prefixes(second, NETADDR_IPV4, &lengths), 0);
    assert_int_equal(table_find(second, "x", 1, kit->arena, &value), STATUS_TEMPFAIL);
    assert_string_equal(value.text, "no such luck");
    table_unref(&second);
    assert_null(second);
    table_unref(&second);
    assert_null(table_ref(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names),      TEST(test_lines_are_remembered), TEST(test_prefix_lengths),
        TEST(test_errors),     TEST(test_missing_file),         TEST(test_array),
        TEST(test_empty_list), TEST(test_many_names),           TEST(test_key),
        TEST(test_fail_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
