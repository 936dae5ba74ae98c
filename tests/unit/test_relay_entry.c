/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/relay_kit.h"

#include <string.h>

static void test_parse_address(void **state)
{
    static const struct {
        const char *text;
        const char *key; /* NULL: refused, with `why` */
        const char *why;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", NULL},
        {"192.0.2.1/32", "192.0.2.1", NULL},
        {"::ffff:192.0.2.1", "192.0.2.1", NULL},
        {"IPv6:::FFFF:192.0.2.1", "192.0.2.1", NULL},
        {"::ffff:192.0.2.1/128", "192.0.2.1", NULL},
        {"2001:db8::1", "2001:db8::1", NULL},
        {"IPv6:2001:DB8:0:0::1", "2001:db8::1", NULL},
        {"ipv6:2001:db8::/64", "2001:db8::/64", NULL},
        {"2001:db8::1/128", "2001:db8::1", NULL},
        {"2001:db8::/48", "2001:db8::/48", NULL},
        {"2001:db8::/47", NULL, "more than one site"},
        {"2001:db8::1/64", NULL, "behind the prefix length"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201", NULL},
        {"64:ff9b::/96", NULL, "IPv4 hosts anywhere"},
        {"64:ff9b:1:2::/64", NULL, "IPv4 hosts anywhere"},
        {"2001:0:c000:201::/64", NULL, "IPv4 hosts anywhere"},
        {"::/64", NULL, "IPv4 hosts anywhere"},
        {"::/127", NULL, "IPv4 hosts anywhere"},
        {"2001:1::/48", "2001:1::/48", NULL},
        {"192.0.2.0/24", NULL, "IPv4 network"},
        {"::ffff:192.0.2.0/120", NULL, "IPv4 network"},
        {"192.0.2", NULL, "no IP address"},
        {"IPv6:2001:db8", NULL, "no IP address"},
        {"", NULL, "no IP address"},
        {"192.0.2.1 ", NULL, "no IP address"},
        {"fe80::1%eth0", NULL, "no IP address"},
        {"host.example", NULL, "no IP address"},
        {"2001:db8::/", NULL, "no IP address"},
        {"2001:db8::/129", NULL, "no IP address"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char key[RELAY_KEY_SIZE];
        struct netaddr addr;
        const char *why = "";
        bool parsed = relay_entry_parse_address(cases[i].text, &addr, &why);

        if (parsed != (cases[i].key != NULL)) {
            fail_msg("\"%s\" should be %s", cases[i].text, parsed ? "refused" : "taken");
        }
        if (parsed) {
            assert_string_equal(relay_entry_key(&addr, key), cases[i].key);
        } else {
            assert_non_null(strstr(why, cases[i].why));
        }
    }
}

/* What a login is recorded for; a client behind a translator, or a tunnel for everybody, never opens the way for its neighbours. */
static void test_client(void **state)
{
    static const struct {
        const char *client;
        unsigned bits;
        const char *key;
    } cases[] = {
        {"192.0.2.1", 64, "192.0.2.1"},
        {"::ffff:192.0.2.1", 48, "192.0.2.1"},
        {"2001:db8:1:2:3::4", 64, "2001:db8:1:2::/64"},
        {"2001:db8:1:2:3::4", 128, "2001:db8:1:2:3::4"},
        {"2002:c000:201::1", 48, "2002:c000:201::/48"},
        {"64:ff9b::192.0.2.1", 64, "64:ff9b::c000:201"},
        {"64:ff9b:1:2:3::4", 48, "64:ff9b:1:2:3::4"},
        {"2001:0:c000:201::1", 64, "2001:0:c000:201::1"},
        {"::192.0.2.1", 64, "::192.0.2.1"},
        {"::1", 64, "::1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char key[RELAY_KEY_SIZE];
        struct netaddr client = kit_address(cases[i].client);
        struct netaddr addr = relay_entry_client(&client, cases[i].bits);

        assert_string_equal(relay_entry_key(&addr, key), cases[i].key);
    }
}

static void test_window(void **state)
{
    const struct relay_entry entry = {.login_at = KIT_NOW};

    (void)state;
    assert_true(relay_entry_permits(&entry, KIT_NOW, 60));
    assert_true(relay_entry_permits(&entry, KIT_NOW + 3599, 60));
    /* Not a second too long. */
    assert_false(relay_entry_permits(&entry, KIT_NOW + 3600, 60));
    assert_true(relay_entry_permits(&entry, KIT_NOW + 1000000000, 0));
    /* Dated in the future. */
    assert_true(relay_entry_permits(&entry, KIT_NOW - 100000, 1));

    assert_false(relay_entry_is_older(&entry, KIT_NOW + 599, 10));
    assert_true(relay_entry_is_older(&entry, KIT_NOW + 600, 10));
    assert_true(relay_entry_is_older(&entry, KIT_NOW, 0));
    assert_false(relay_entry_is_older(&entry, KIT_NOW - 1, 0));
}

static void test_value_comes_back(void **state)
{
    static const struct {
        const char *user, *service, *value;
    } cases[] = {
        {"", "", "1700000000"},
        {"ann", "imap", "1700000000 user=ann service=imap"},
        {"ann", "", "1700000000 user=ann"},
        {"", "pop3", "1700000000 service=pop3"},
        {"ann b@x.example", "", "1700000000 user=ann%20b@x.example"},
        {"100%", "", "1700000000 user=100%25"},
        {"a=b", "", "1700000000 user=a=b"},
        {"\xc3\xa4\n\t", "", "1700000000 user=%C3%A4%0A%09"},
    };
    struct strbuf value;
    struct strbuf texts;

    (void)state;
    strbuf_init(&value);
    strbuf_init(&texts);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct relay_entry entry = {
            .login_at = KIT_NOW, .user = cases[i].user, .service = cases[i].service};
        struct relay_entry back;
        const char *why;

        strbuf_reset(&value);
        relay_entry_format_value(&entry, &value);
        assert_string_equal(value.data, cases[i].value);
        assert_true(relay_entry_parse_value(value.data, value.len, &texts, &back, &why));
        assert_int_equal(back.login_at, KIT_NOW);
        assert_string_equal(back.user, cases[i].user);
        assert_string_equal(back.service, cases[i].service);
    }
    strbuf_fini(&value);
    strbuf_fini(&texts);
}

static void test_parse_value(void **state)
{
    static const struct {
        const char *value;
        const char *user; /* NULL: refused, with `why` */
        const char *why;
    } cases[] = {
        {"0", "", NULL},
        {"1700000000  user=ann  ", "ann", NULL},
        {"1700000000 session=xyz user=ann colour=blue", "ann", NULL},
        {"1700000000 user=", "", NULL},
        {"1700000000 user=%41%6a", "Aj", NULL},
        {"253402300799", "", NULL},
        {"253402300800", NULL, "timestamp"},
        {"99999999999999999999", NULL, "timestamp"},
        {"", NULL, "timestamp"},
        {"-5", NULL, "timestamp"},
        {"user=ann", NULL, "timestamp"},
        {"1700000000x", NULL, "timestamp"},
        {"1700000000\tuser=ann", NULL, "timestamp"},
        {"1700000000 ann", NULL, "name=value"},
        {"1700000000 =ann", NULL, "name=value"},
        {"1700000000 user=ann user=bob", NULL, "twice"},
        {"1700000000 service=a service=a", NULL, "twice"},
        {"1700000000 user=%4", NULL, "%"},
        {"1700000000 user=%zz", NULL, "%"},
        {"1700000000 user=%00", NULL, "%"},
        {"1700000000 user=a\tb", NULL, "not printable"},
        {"1700000000 user=\xc3\xa4", NULL, "not printable"},
        {"1700000000 service=12345678901234567890123456789012", NULL, "too long"},
    };
    struct strbuf texts;

    (void)state;
    strbuf_init(&texts);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct relay_entry entry;
        const char *why = "";
        bool parsed = relay_entry_parse_value(cases[i].value, strlen(cases[i].value), &texts,
                                              &entry, &why);

        if (parsed != (cases[i].user != NULL)) {
            fail_msg("\"%s\" should be %s", cases[i].value, parsed ? "refused" : "taken");
        }
        if (parsed) {
            assert_string_equal(entry.user, cases[i].user);
        } else if (strstr(why, cases[i].why) == NULL) {
            fail_msg("\"%s\": \"%s\"", cases[i].value, why);
        }
    }
    strbuf_fini(&texts);
}

static void test_longest_texts(void **state)
{
    char user[RELAY_USER_MAX + 2];
    struct relay_entry entry = {.login_at = KIT_NOW, .user = user, .service = ""};
    struct relay_entry back;
    struct strbuf value;
    struct strbuf texts;
    const char *why;

    (void)state;
    strbuf_init(&value);
    strbuf_init(&texts);
    memset(user, 0xff, sizeof(user));
    entry.addr = kit_address("192.0.2.1");
    for (size_t len = RELAY_USER_MAX; len <= RELAY_USER_MAX + 1; len++) {
        bool fits = len == RELAY_USER_MAX;

        user[RELAY_USER_MAX] = '\xff';
        user[len] = '\0';
        strbuf_reset(&value);
        relay_entry_format_value(&entry, &value);
        assert_int_equal(relay_entry_is_sound(&entry, &why), fits);
        assert_int_equal(relay_entry_parse_value(value.data, value.len, &texts, &back, &why), fits);
    }
    strbuf_fini(&value);
    strbuf_fini(&texts);
}

static void test_is_sound(void **state)
{
    struct relay_entry entry = {
        .addr = kit_address("2001:db8::/64"), .login_at = 0, .user = "", .service = ""};
    const char *why;

    (void)state;
    assert_true(relay_entry_is_sound(&entry, &why));
    entry.login_at = -1;
    assert_false(relay_entry_is_sound(&entry, &why));
    entry.login_at = RELAY_LOGIN_MAX + 1;
    assert_false(relay_entry_is_sound(&entry, &why));
    entry.login_at = RELAY_LOGIN_MAX;
    assert_true(relay_entry_is_sound(&entry, &why));
    entry.addr.bytes[15] = 1;
    assert_false(relay_entry_is_sound(&entry, &why));
    entry.addr = (struct netaddr){.family = NETADDR_NONE};
    assert_false(relay_entry_is_sound(&entry, &why));
    entry.addr = (struct netaddr){.family = NETADDR_IPV4, .bits = 24};
    assert_false(relay_entry_is_sound(&entry, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_address),    cmocka_unit_test(test_window),
        cmocka_unit_test(test_value_comes_back), cmocka_unit_test(test_parse_value),
        cmocka_unit_test(test_longest_texts),    cmocka_unit_test(test_is_sound),
        cmocka_unit_test(test_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
