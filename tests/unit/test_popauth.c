/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logins that POP and IMAP servers tell of: what is recorded, and clients that mean no good.
 */
#include "lib/base/xalloc.h"
#include "milter/popauth_event.h"
#include "tests/unit/popauth_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the socket ---- */

static void test_login_is_recorded(void **state)
{
    struct popauth_kit *fixture = *state;
    struct relay_found found;
    int64_t before = (int64_t)time(NULL);

    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
    server_kit_ask(&fixture->kit, "login 192.0.2.1 user=ann%40x service=imap session=1\n", "ok\n");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", &found), STATUS_OK);
    assert_string_equal(found.user, "ann@x");
    assert_string_equal(found.service, "imap");
    assert_in_range(found.login_at, before, before + 30);
    server_kit_ask(&fixture->kit, "login 2001:db8::77\n", "ok\n"); /* for its network */
    assert_int_equal(popauth_kit_find(fixture, "2001:db8::1234", NULL), STATUS_OK);
    assert_int_equal(popauth_kit_find(fixture, "2001:db8:1::77", NULL), STATUS_NOTFOUND);
}

static void test_add_and_logout(void **state)
{
    struct popauth_kit *fixture = *state;

    server_kit_ask(&fixture->kit, "add 2001:db8::1\n", "ok\n"); /* as it is */
    assert_int_equal(popauth_kit_find(fixture, "2001:db8::1", NULL), STATUS_OK);
    assert_int_equal(popauth_kit_find(fixture, "2001:db8::2", NULL), STATUS_NOTFOUND);
    server_kit_ask(&fixture->kit, "logout 192.0.2.9\nlogout 2001:db8::1\n", "ok\nok\n");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.9", NULL), STATUS_NOTFOUND);
    assert_int_equal(popauth_kit_find(fixture, "2001:db8::1", NULL), STATUS_OK);
}

static void test_one_answer_for_each_line(void **state)
{
    struct popauth_kit *fixture = *state;

    server_kit_ask(&fixture->kit,
                   "login 192.0.2.1\r\nnonsense\nlogin 192.0.2.2\n\nlogin x\nlogout 192.0.2.1\nadd "
                   "192.0.2.3",
                   "ok\nerr the request is none of login, logout, add\nok\nerr the request is none "
                   "of login, logout, add\nerr no IP address\nok\n");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.2", NULL), STATUS_OK);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.3", NULL),
                     STATUS_NOTFOUND); /* half a line */
}

static void test_lines_that_are_too_long(void **state)
{
    struct popauth_kit *fixture = *state;
    char *line = xcalloc(1, POPAUTH_MAX_LINE + 1);
    char got[256];
    int fd = server_kit_dial(&fixture->kit);

    (void)memset(line, 'x', POPAUTH_MAX_LINE);
    server_kit_put(fd, line);
    (void)server_kit_get(fd, got, sizeof(got) - 1);
    assert_string_equal(got, "err the line is too long\n");
    (void)close(fd);
    free(line);
}

static void test_bytes_that_are_no_text(void **state)
{
    struct popauth_kit *fixture = *state;
    static const char bytes[] = "login 192.0.2.1\0\n\0\0\n\xff\xfe\n";
    char got[512];
    int fd = server_kit_dial(&fixture->kit);
    size_t lines = 0;

    assert_int_equal(send(fd, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL), (ssize_t)sizeof(bytes) - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    (void)server_kit_get(fd, got, sizeof(got) - 1);
    for (const char *at = got; *at != '\0'; at = strchr(at, '\n') + 1) {
        assert_int_equal(strncmp(at, "err ", 4), 0);
        lines++;
    }
    assert_int_equal(lines, 3);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
    (void)close(fd);
}

/* ---- events ---- */

#define EVENT(name, address, port)                                                            \
    "{\"event\":\"" name "\",\"categories\":[\"service:imap\"],\"fields\":{\"user\":\"ann\"," \
    "\"remote_ip\":\"" address "\",\"remote_port\":" port "}}\n"
#define EVENT_LOGIN(address, port) EVENT("auth_master_client_login_finished", address, port)
#define EVENT_LOGOUT(address, port) EVENT("mail_user_session_finished", address, port)

/* Events are obeyed as lines are, between which they may stand, and are answered by nothing. */
static void test_events(void **state)
{
    struct popauth_kit *fixture = *state;
    struct popauth_stats stats;
    struct relay_found found;

    server_kit_ask(&fixture->kit,
                   EVENT_LOGIN("192.0.2.1", "1001") EVENT_LOGIN("192.0.2.1", "1002")
                       EVENT("auth_request_finished", "192.0.2.7",
                             "1") "login 192.0.2.2\n"
                                  "{}\n" EVENT_LOGIN("192.0.2.3", "1")
                                      EVENT_LOGOUT("192.0.2.3", "1") "nonsense\n",
                   "ok\nerr the request is none of login, logout, add\n");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", &found), STATUS_OK);
    assert_string_equal(found.user, "ann");
    assert_string_equal(found.service, "imap");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.2", NULL), STATUS_OK);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.3", NULL), STATUS_OK);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.7", NULL), STATUS_NOTFOUND);
    popauth_stats(fixture->popauth, &stats);
    assert_int_equal(stats.sessions.sessions, 2);
    assert_int_equal(stats.ignored, 1);
    assert_int_equal(stats.refused, 2);
    /* The last logout of an address ends what its sessions have kept. */
    server_kit_ask(&fixture->kit,
                   EVENT_LOGOUT("192.0.2.1", "1002") EVENT_LOGOUT("192.0.2.1", "1002")
                       EVENT_LOGOUT("192.0.2.9", "1002"),
                   "");
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 1);
    server_kit_ask(&fixture->kit, EVENT_LOGOUT("192.0.2.1", "1001"), "");
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 0);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.9", NULL), STATUS_NOTFOUND);
}

/* Who is allowed a long event is allowed no long line, however the bytes come. */
static void test_long_events(void **state)
{
    struct popauth_kit *fixture = *state;
    char *text = xcalloc(1, POPAUTH_MAX_EVENT + 100);
    static const char head[] = "{\"event\":\"auth_master_client_login_finished\",\"categories\":["
                               "\"service:imap\"],\"fields\":{\"remote_ip\":\"192.0.2.1\",\"remote_"
                               "port\":1,\"user\":\"ann\"}";
    int fd = server_kit_dial(&fixture->kit);

    (void)memset(text, ' ', POPAUTH_MAX_EVENT);
    (void)memcpy(text, head, sizeof(head) - 1);
    (void)memcpy(text + POPAUTH_MAX_EVENT - 2, "}\n", 3);
    server_kit_put(fd, text);
    server_kit_put(fd, "login 192.0.2.2\n"); /* it was taken as a whole, and the next line is one */
    (void)server_kit_get(fd, text, 3);
    assert_string_equal(text, "ok\n");
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.1", NULL), STATUS_OK);
    (void)close(fd);
    (void)memset(text, 'x', POPAUTH_MAX_EVENT);
    (void)memcpy(text + POPAUTH_MAX_LINE, "\n", 2);
    server_kit_ask(&fixture->kit, text, "err the line is too long\n");
    free(text);
}

/* What follows an event that is too long is a part of it, which somebody may have chosen: it is not read as a line. */
static void test_rest_of_an_event(void **state)
{
    struct popauth_kit *fixture = *state;
    char *text = xcalloc(1, POPAUTH_MAX_EVENT + 100);
    struct popauth_stats stats;
    int fd = server_kit_dial(&fixture->kit);

    (void)memset(text, 'x', POPAUTH_MAX_EVENT);
    text[0] = '{';
    (void)snprintf(text + POPAUTH_MAX_EVENT, 100, "login 192.0.2.66\nlogin 192.0.2.67\n");
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    server_kit_expect_end(fd);
    (void)close(fd);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.66", NULL), STATUS_NOTFOUND);
    assert_int_equal(popauth_kit_find(fixture, "192.0.2.67", NULL), STATUS_NOTFOUND);
    popauth_stats(fixture->popauth, &stats);
    assert_int_equal(stats.refused, 1);
    free(text);
}

#define EVENTS 5000

/* Nobody reads, and everything is taken: more than may be unanswered, and in time. */
static void test_many_events(void **state)
{
    struct popauth_kit *fixture = *state;
    struct relay_store_stats stats;
    int fd = server_kit_dial(&fixture->kit);
    int64_t begun = server_kit_now();
    char event[256];

    for (int n = 0; n < EVENTS; n++) {
        (void)snprintf(event, sizeof(event),
                       "{\"event\":\"auth_master_client_login_finished\",\"categories\":[\"service:"
                       "pop3\"],\"fields\":{\"remote_ip\":\"10.2.%d.%d\",\"remote_port\":%d}}\n",
                       n >> 8, n & 255, n + 1);
        server_kit_put(fd, event);
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    server_kit_expect_end(fd);
    relay_store_stats(fixture->store, &stats);
    assert_int_equal(stats.granted, EVENTS);
    assert_true(server_kit_now() - begun < 20000);
    (void)close(fd);
}

/* ---- many ---- */

#define CLIENTS 20
#define LINES 50

static void test_what_comes_together_shares_a_sync(void **state)
{
    struct popauth_kit *fixture = *state;
    struct relay_store_stats stats;
    int fds[CLIENTS];
    char line[64];
    char got[LINES * 3 + 1];

    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = server_kit_dial(&fixture->kit);
    }
    for (int n = 0; n < LINES; n++) {
        for (int i = 0; i < CLIENTS; i++) {
            (void)snprintf(line, sizeof(line), "login 10.0.%d.%d user=u\n", i, n);
            server_kit_put(fds[i], line);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(server_kit_get(fds[i], got, (size_t)LINES * 3), LINES * 3);
        for (size_t n = 0; n < LINES; n++) {
            assert_memory_equal(got + n * 3, "ok\n", 3);
        }
        (void)close(fds[i]);
    }
    relay_store_stats(fixture->store, &stats);
    assert_int_equal(stats.entries, CLIENTS * LINES);
    assert_int_equal(stats.granted, CLIENTS * LINES);
    assert_in_range(stats.syncs, 1, CLIENTS * LINES / 2);
}

/* Clients that ask and never read hold up nobody, and what they asked for is done as far as it was taken. */
static void test_clients_that_never_read(void **state)
{
    struct popauth_kit *fixture = *state;
    int deaf[CLIENTS];

    for (size_t i = 0; i < CLIENTS; i++) {
        deaf[i] = server_kit_dial(&fixture->kit);
        for (int n = 0; n < 1000; n++) {
            if (send(deaf[i], "bad\nlogin 192.0.2.8\n", 20, MSG_NOSIGNAL | MSG_DONTWAIT) != 20) {
                break;
            }
        }
    }
    int64_t begun = server_kit_now();

    server_kit_ask(&fixture->kit, "login 192.0.2.1\n", "ok\n");
    assert_true(server_kit_now() - begun < POPAUTH_REQUEST_MS / 2);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)close(deaf[i]);
    }
}

/* ---- the end ---- */

static void test_what_was_acknowledged_is_there_after_a_restart(void **state)
{
    struct popauth_kit *fixture = *state;
    char line[64];
    char got[3 * LINES + 1];
    int fd = server_kit_dial(&fixture->kit);

    for (int n = 0; n < LINES; n++) {
        (void)snprintf(line, sizeof(line), "login 10.1.0.%d\n", n);
        server_kit_put(fd, line);
    }
    assert_int_equal(server_kit_get(fd, got, 3), 3); /* the first one, others are under way */
    popauth_kit_stop(fixture);
    size_t acknowledged = 1 + server_kit_get(fd, got, sizeof(got) - 1) / 3;

    (void)close(fd);
    popauth_kit_start(fixture);
    for (size_t n = 0; n < acknowledged; n++) {
        (void)snprintf(line, sizeof(line), "10.1.0.%zu", n);
        assert_int_equal(popauth_kit_find(fixture, line, NULL), STATUS_OK);
    }
}

static void test_store_that_cannot_be_had(void **state)
{
    struct popauth_kit *fixture = *state;
    char got[512];

    popauth_kit_stop(fixture);
    (void)snprintf(fixture->file, sizeof(fixture->file), "/nonexistent/folder/relayers.gdbm");
    popauth_kit_start(fixture);
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "login 192.0.2.1 session=1 keep=no\n");
    assert_int_equal(server_kit_get(fd, got, sizeof(POPAUTH_MAY_PASS) - 1),
                     sizeof(POPAUTH_MAY_PASS) - 1);
    assert_string_equal(got, POPAUTH_MAY_PASS);
    assert_int_equal(popauth_kit_sessions(fixture).sessions, 0);
    (void)close(fd);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1\n", "ok\n");
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, popauth_kit_setup, popauth_kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_login_is_recorded),
        TEST(test_add_and_logout),
        TEST(test_one_answer_for_each_line),
        TEST(test_lines_that_are_too_long),
        TEST(test_bytes_that_are_no_text),
        TEST(test_events),
        TEST(test_long_events),
        TEST(test_rest_of_an_event),
        TEST(test_many_events),
        TEST(test_what_comes_together_shares_a_sync),
        TEST(test_clients_that_never_read),
        TEST(test_what_was_acknowledged_is_there_after_a_restart),
        TEST(test_store_that_cannot_be_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
