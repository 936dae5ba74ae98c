/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parts of posternctl relay watch: the table of open sessions, whether their ends are logged, requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/watch_open.h"
#include "ctl/watch_request.h"
#include "ctl/watch_sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct netaddr address(const char *text)
{
    struct netaddr addr;
    const char *why;

    assert_true(relay_entry_parse_address(text, &addr, &why));
    return addr;
}

/* ---- sessions ---- */

static void check_taken(struct watch_sessions *sessions, const char *session, const char *expected)
{
    char key[RELAY_KEY_SIZE];
    struct netaddr addr = {.family = NETADDR_NONE};

    if (expected == NULL) {
        assert_false(watch_sessions_take(sessions, session, &addr));
    } else {
        assert_true(watch_sessions_take(sessions, session, &addr));
        assert_string_equal(relay_entry_key(&addr, key), expected);
        watch_sessions_settle(sessions, session, &addr);
    }
}

static void test_sessions_make_room(void **state)
{
    struct watch_sessions *sessions = watch_sessions_new(3);
    const struct netaddr one = address("192.0.2.1");
    const struct netaddr two = address("2001:db8::2");

    (void)state;
    watch_sessions_add(sessions, "a", &one, "imap");
    watch_sessions_add(sessions, "b", &one, "imap");
    watch_sessions_add(sessions, "c", &one, "imap");
    watch_sessions_add(sessions, "a", &one, "imap"); /* the youngest now */
    assert_int_equal(watch_sessions_count(sessions), 3);
    watch_sessions_add(sessions, "d", &two, "imap");
    assert_int_equal(watch_sessions_count(sessions), 3);
    check_taken(sessions, "b", NULL);
    check_taken(sessions, "a", "192.0.2.1");
    check_taken(sessions, "a", NULL);
    check_taken(sessions, "c", "192.0.2.1");
    check_taken(sessions, "d", "2001:db8::2");
    assert_int_equal(watch_sessions_count(sessions), 0);
    watch_sessions_free(&sessions);
    watch_sessions_free(&sessions);
}

/* Such an id is a port. */
static void test_sessions_of_one_name(void **state)
{
    struct watch_sessions *sessions = watch_sessions_new(10);
    struct netaddr one = address("192.0.2.1");
    struct netaddr two = address("192.0.2.2");
    struct netaddr three = address("192.0.2.3");

    (void)state;
    assert_true(watch_sessions_add(sessions, "41", &one, "imap"));
    assert_true(watch_sessions_add(sessions, "41", &two, "imap"));
    assert_int_equal(watch_sessions_count(sessions), 2);
    assert_false(watch_sessions_take(sessions, "41", &three));
    assert_true(watch_sessions_take(sessions, "41", &one));
    assert_false(watch_sessions_take(sessions, "41", &one));
    check_taken(sessions, "41", "192.0.2.2");
    /* What ended before it began was another one's, too. */
    assert_true(watch_sessions_add(sessions, "41", &two, "imap"));
    assert_false(watch_sessions_add(sessions, "41", &three, "imap"));
    assert_true(watch_sessions_add(sessions, "41", &three, "imap"));
    check_taken(sessions, "41", "192.0.2.3"); /* the youngest */
    check_taken(sessions, "41", "192.0.2.2");
    assert_int_equal(watch_sessions_count(sessions), 0);
    watch_sessions_free(&sessions);
}

/* Until somebody knows of its end, it must not be lost with the program. */
static void test_sessions_that_ended(void **state)
{
    struct watch_sessions *sessions = watch_sessions_new(2);
    struct netaddr one = address("192.0.2.1");
    struct netaddr none = {.family = NETADDR_NONE};
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    assert_true(watch_sessions_add(sessions, "a", &one, "imap"));
    watch_sessions_settle(sessions, "a", &one); /* it is open */
    assert_true(watch_sessions_take(sessions, "a", &none));
    assert_int_equal(watch_sessions_count(sessions), 0);
    watch_sessions_save(sessions, &text);
    assert_string_equal(text.data, "a 192.0.2.1 imap\n");
    none.family = NETADDR_NONE;
    assert_false(watch_sessions_take(sessions, "a", &none));
    assert_int_equal(none.family, NETADDR_NONE);
    /* Another one, of the same name, begins before that: it stays. */
    assert_true(watch_sessions_add(sessions, "a", &one, "imap"));
    assert_int_equal(watch_sessions_count(sessions), 1);
    watch_sessions_settle(sessions, "a", &one);
    assert_true(watch_sessions_take(sessions, "a", &one));
    watch_sessions_settle(sessions, "a", &one);
    watch_sessions_settle(sessions, "a", &one);
    strbuf_reset(&text);
    watch_sessions_save(sessions, &text);
    assert_int_equal(text.len, 0);
    strbuf_fini(&text);
    watch_sessions_free(&sessions);
}

static void test_sessions_many(void **state)
{
    struct watch_sessions *sessions = watch_sessions_new(1000);
    const struct netaddr addr = address("192.0.2.1");
    struct netaddr found = {.family = NETADDR_NONE};
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        watch_sessions_add(sessions, name, &addr, "imap");
    }
    assert_int_equal(watch_sessions_count(sessions), 1000);
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(watch_sessions_take(sessions, name, &found), i >= 4000);
    }
    watch_sessions_free(&sessions);
}

static void test_sessions_whose_end_stands_before_their_begin(void **state)
{
    struct watch_sessions *sessions = watch_sessions_new(10);
    const struct netaddr one = address("192.0.2.1");
    char name[16];

    (void)state;
    check_taken(sessions, "a", NULL);
    assert_true(watch_sessions_add(sessions, "b", &one, "imap"));
    assert_false(watch_sessions_add(sessions, "a", &one, "imap"));
    assert_int_equal(watch_sessions_count(sessions), 1);
    assert_true(watch_sessions_add(sessions, "a", &one, "imap")); /* one end is of one begin */
    check_taken(sessions, "a", "192.0.2.1");
    /* Of very many the last are known. */
    for (unsigned i = 0; i < WATCH_SESSIONS_EARLY + 1; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        check_taken(sessions, name, NULL);
    }
    assert_true(watch_sessions_add(sessions, "s0", &one, "imap"));
    assert_false(watch_sessions_add(sessions, "s1", &one, "imap"));
    watch_sessions_free(&sessions);
}

static void test_sessions_as_text(void **state)
{
    struct watch_sessions *sessions = watch_sessions_new(2);
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    watch_sessions_restore(sessions, "old 192.0.2.9\n"
                                     "nonsense\n"
                                     "#ends imap 3 yes\n"
                                     " 192.0.2.1\n"
                                     "x host.example\n"
                                     "x \n"
                                     "hV2/+= 192.0.2.1\n"
                                     "b 2001:db8::2 imap\n"
                                     "cut 192.0.2");
    watch_sessions_save(sessions, &text);
    assert_string_equal(text.data, "hV2/+= 192.0.2.1\nb 2001:db8::2 imap\n");
    strbuf_fini(&text);
    watch_sessions_free(&sessions);
}

/* ---- whether ends are logged ---- */

static struct logger *quiet(void)
{
    struct logger *logger = log_new(LOG_TARGET_STDERR, "test", "mail", LOG_LEVEL_ERROR);

    assert_non_null(logger);
    return logger;
}

/* Is the session of this login told? */
static bool log_in(struct watch_open *open, const char *service, unsigned number)
{
    struct login_found found = {.addr = address("192.0.2.1")};

    (void)snprintf(found.service, sizeof(found.service), "%s", service);
    (void)snprintf(found.session, sizeof(found.session), "%s%u", service, number);
    assert_null(watch_open_follow(open, &found));
    return found.session[0] != '\0';
}

/* Is it the end of a session that is known? */
static bool log_out(struct watch_open *open, const char *service, unsigned number)
{
    struct login_found found = {.is_logout = true};

    (void)snprintf(found.service, sizeof(found.service), "%s", service);
    (void)snprintf(found.session, sizeof(found.session), "%s%u", service, number);
    return watch_open_follow(open, &found) == NULL;
}

/* How many sessions are ended because they do not count. */
static unsigned count_ends(struct watch_open *open, const char *service)
{
    struct login_found found;
    char name[32];
    unsigned count = 0;

    while (watch_open_next_end(open, &found)) {
        (void)snprintf(name, sizeof(name), "%s%u", service, count++);
        assert_true(found.is_logout);
        assert_string_equal(found.service, service);
        assert_string_equal(found.session, name);
        assert_int_equal(found.addr.family, NETADDR_IPV4);
    }
    return count;
}

static void test_open_without_any_end(void **state)
{
    struct logger *logger = quiet();
    struct watch_open *open = watch_open_new(100, logger);

    (void)state;
    for (unsigned i = 0; i < WATCH_OPEN_FIRST; i++) {
        assert_int_equal(count_ends(open, "imap"), 0);
        assert_true(log_in(open, "imap", i));
        assert_int_equal(i > 0 ? log_out(open, "pop3", i) : 0, 0); /* another service */
        assert_true(log_in(open, "pop3", 1000 + i));
    }
    assert_int_equal(count_ends(open, "imap"), WATCH_OPEN_FIRST);
    assert_int_equal(watch_open_count(open), WATCH_OPEN_FIRST);
    assert_false(log_in(open, "imap", 50));
    assert_true(log_in(open, "pop3", 50));
    assert_int_equal(count_ends(open, "imap"), 0);
    /* The first one that is seen, be it of a login that was not told. */
    assert_false(log_out(open, "imap", 50));
    assert_true(log_in(open, "imap", 51));
    assert_true(log_out(open, "imap", 51));
    watch_open_free(&open);
    watch_open_free(&open);
    log_free(&logger);
}

static void test_open_without_an_end_for_long(void **state)
{
    struct logger *logger = quiet();
    struct watch_open *open = watch_open_new(WATCH_OPEN_LATER, logger);
    struct login_found unnamed = {.is_logout = true};

    (void)state;
    (void)log_out(open, "imap",
                  0); /* it is remembered for a while, as the end of what begins later */
    assert_false(log_in(open, "imap", 0));
    assert_false(log_out(open, "imap", 5000));
    for (unsigned i = 0; i < WATCH_OPEN_LATER; i++) {
        assert_true(log_in(open, "imap", i));
        assert_non_null(watch_open_follow(open, &unnamed)); /* says nothing */
    }
    assert_false(log_in(open, "imap", WATCH_OPEN_LATER));
    assert_int_equal(count_ends(open, "imap"), WATCH_OPEN_LATER);
    watch_open_free(&open);
    log_free(&logger);
}

static void test_open_as_text(void **state)
{
    struct logger *logger = quiet();
    struct watch_open *open = watch_open_new(100, logger);
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    watch_open_restore(open,
                       "#ends imap 19 no\n#ends pop3 20 no\n#ends - 7 yes\n#ends x\n#ends y z no\n"
                       "pop30 192.0.2.1 pop3\nimap0 192.0.2.1 imap\n#ends cut 1 n");
    watch_open_save(open, &text);
    assert_string_equal(text.data, "#ends imap 19 no\n#ends pop3 20 no\n#ends - 7 yes\n"
                                   "pop30 192.0.2.1 pop3\nimap0 192.0.2.1 imap\n");
    assert_int_equal(count_ends(open, "pop3"), 1);
    assert_false(log_in(open, "pop3", 1));
    assert_true(log_in(open, "imap", 1));
    assert_int_equal(count_ends(open, "imap"), 2);
    assert_false(log_in(open, "imap", 2));
    strbuf_fini(&text);
    watch_open_free(&open);
    log_free(&logger);
}

/* ---- requests ---- */

static void test_requests(void **state)
{
    struct login_found found = {.addr = address("::ffff:192.0.2.1")};
    char session[LOGIN_SESSION_MAX + 1];
    struct netaddr addr;
    struct strbuf text;

    (void)state;
    strbuf_init(&text);
    watch_request_format(&found, &text);
    assert_string_equal(text.data, "login 192.0.2.1 keep=no\n");
    assert_false(watch_request_read_logout("login 192.0.2.1 session=a keep=no", session, &addr));
    assert_false(watch_request_read_logout("logout 192.0.2.1", session, &addr));
    strbuf_reset(&text);
    (void)snprintf(found.user, sizeof(found.user), "%s", "a b%\xc3\xa9");
    (void)snprintf(found.service, sizeof(found.service), "%s", "imap");
    (void)snprintf(found.session, sizeof(found.session), "%s", "x=%41");
    found.is_logout = true;
    watch_request_format(&found, &text);
    assert_string_equal(text.data,
                        "logout 192.0.2.1 user=a%20b%25%C3%A9 service=imap session=x=%41\n");
    text.data[text.len - 1] = '\0';
    assert_true(watch_request_read_logout(text.data, session, &addr));
    assert_string_equal(session, "x=%41");
    assert_true(netaddr_equal(&addr, &found.addr));
    strbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_make_room),
        cmocka_unit_test(test_sessions_of_one_name),
        cmocka_unit_test(test_sessions_that_ended),
        cmocka_unit_test(test_sessions_many),
        cmocka_unit_test(test_sessions_whose_end_stands_before_their_begin),
        cmocka_unit_test(test_sessions_as_text),
        cmocka_unit_test(test_open_without_any_end),
        cmocka_unit_test(test_open_without_an_end_for_long),
        cmocka_unit_test(test_open_as_text),
        cmocka_unit_test(test_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
