/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lines in which POP and IMAP servers tell of logins: what is understood. */
#include "milter/popauth_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NOW 1695420927

static void test_parse_what_is_understood(void **state)
{
    static const struct {
        const char *line;
        enum popauth_verb verb;
        const char *key;
        const char *user;
        const char *service;
        const char *session;
    } rows[] = {
        {"login 192.0.2.1", POPAUTH_LOGIN, "192.0.2.1", "", "", ""},
        {"login ::ffff:192.0.2.1 user=ann", POPAUTH_LOGIN, "192.0.2.1", "ann", "", ""},
        {"login IPv6:2001:DB8::1 service=imap", POPAUTH_LOGIN, "2001:db8::1", "", "imap", ""},
        {"login  192.0.2.1  user=a%20b%25  service=pop3  session=<x/y=> ", POPAUTH_LOGIN,
         "192.0.2.1", "a b%", "pop3", "<x/y=>"},
        {"login 192.0.2.1 later=word user=ann", POPAUTH_LOGIN, "192.0.2.1", "ann", "", ""},
        {"login 192.0.2.1 user=ann keep=no session=x", POPAUTH_LOGIN, "192.0.2.1", "ann", "", "x"},
        {"login 192.0.2.1 keep=yes session=keep=no", POPAUTH_LOGIN, "192.0.2.1", "", "", "keep=no"},
        {"logout 192.0.2.1 user=ann", POPAUTH_LOGOUT, "192.0.2.1", "ann", "", ""},
        {"add 2001:db8::/64", POPAUTH_ADD, "2001:db8::/64", "", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct popauth_line line;
        struct strbuf texts;
        const char *why = "";
        char key[RELAY_KEY_SIZE];

        strbuf_init(&texts);
        if (!popauth_line_parse(rows[i].line, strlen(rows[i].line), NOW, &texts, &line, &why)) {
            fail_msg("%s: %s", rows[i].line, why);
        }
        assert_int_equal(line.verb, rows[i].verb);
        assert_string_equal(relay_entry_key(&line.entry.addr, key), rows[i].key);
        assert_string_equal(line.entry.user, rows[i].user);
        assert_string_equal(line.entry.service, rows[i].service);
        assert_string_equal(line.session, rows[i].session);
        assert_int_equal(line.entry.login_at, NOW);
        assert_int_equal(line.is_told_again, strstr(rows[i].line, " keep=no") != NULL);
        strbuf_fini(&texts);
    }
}

static void refuse(const char *line, size_t len, const char *expected)
{
    struct popauth_line parsed;
    struct strbuf texts;
    const char *why = "taken";

    strbuf_init(&texts);
    assert_false(popauth_line_parse(line, len, NOW, &texts, &parsed, &why));
    if (strstr(why, expected) == NULL) {
        fail_msg("%s: %s", line, why);
    }
    strbuf_fini(&texts);
}

static void test_parse_what_is_refused(void **state)
{
    static const struct {
        const char *line;
        const char *why;
    } rows[] = {
        {"", "none of login"},
        {"LOGIN 192.0.2.1", "none of login"},
        {"logins 192.0.2.1", "none of login"},
        {"remove 192.0.2.1", "none of login"},
        {"list", "none of login"},
        {"login", "no address"},
        {"login ", "no address"},
        {"login localhost", "no IP address"},
        {"login 192.0.2", "no IP address"},
        {"login 192.0.2.0/24", "network"},
        {"login 2001:db8::/64", "not from a network"},
        {"add 2001:db8::/32", "prefix"},
        {"add 0.0.0.0/0", "network"},
        {"login 192.0.2.1 ann", "name=value"},
        {"login 192.0.2.1 user=a%2", "user"},
        {"login 192.0.2.1 user=a%00b", "user"},
        {"login 192.0.2.1 user=a user=b", "twice"},
        {"login 192.0.2.1 user=\xc3\xa4", "printable"},
        {"login 192.0.2.1\tuser=a", "printable"},
        {"login "
         "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
         "no IP address"},
    };
    char line[600];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        refuse(rows[i].line, strlen(rows[i].line), rows[i].why);
    }
    refuse("login 192.0.2.1\0user=x", 22, "printable");
    (void)snprintf(line, sizeof(line), "login 192.0.2.1 session=%0*d", (int)POPAUTH_SESSION_MAX + 1,
                   0);
    refuse(line, strlen(line), "session is too long");
    (void)snprintf(line, sizeof(line), "login 192.0.2.1 user=%0*d", (int)RELAY_USER_MAX + 1, 0);
    refuse(line, strlen(line), "user is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_what_is_understood),
        cmocka_unit_test(test_parse_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
