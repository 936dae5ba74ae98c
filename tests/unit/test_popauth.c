/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logins that POP and IMAP servers tell of: what is recorded, and clients that mean no good.
 */
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store.h"
#include "milter/popauth.h"
#include "milter/popauth_event.h"
#include "tests/unit/server_kit.h"
#include "tests/unit/support.h"

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

struct fixture {
    struct site site; /* where the store lies */
    char file[SITE_PATH_SIZE];
    struct server_kit kit;
    struct eventloop *loop;
    struct relay_store *store;
    struct popauth *popauth;
};

static struct relay_store *open_store(struct fixture *fixture)
{
    const struct relay_store_options options = {
        .file = fixture->file,
        .terms = {.max_entries = 20000, .ipv6_prefix_bits = 64},
        .wait = true};
    struct strbuf why;

    strbuf_init(&why);
    struct relay_store *store = relay_store_open(&options, &why);

    assert_non_null(store);
    strbuf_fini(&why);
    return store;
}

static void start(struct fixture *fixture)
{
    const struct relay_sessions_terms terms = {
        .max_hours = 24, .max_sessions = 100, .ipv6_prefix_bits = 64};

    fixture->store = open_store(fixture);
    fixture->loop = eventloop_new();
    assert_non_null(fixture->loop);
    assert_true(eventloop_start(fixture->loop));
    fixture->popauth = popauth_start(fixture->loop, server_kit_open(&fixture->kit), fixture->store,
                                     &terms, NULL);
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    site_init(&fixture->site);
    site_path(&fixture->site, "relayers.gdbm", fixture->file);
    start(fixture);
    *state = fixture;
    return 0;
}

/* As the daemon ends. */
static void stop(struct fixture *fixture)
{
    popauth_close_socket(fixture->popauth);
    popauth_finish(fixture->popauth);
    relay_store_close(&fixture->store);
    popauth_stop(&fixture->popauth);
    assert_null(fixture->popauth);
    eventloop_free(&fixture->loop);
    server_kit_close(&fixture->kit);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    stop(fixture);
    site_fini(&fixture->site);
    free(fixture);
    return 0;
}

static enum status find(struct fixture *fixture, const char *address, struct relay_found *found)
{
    struct netaddr addr;

    assert_true(netaddr_parse(address, &addr));
    return relay_store_find(fixture->store, &addr, (int64_t)time(NULL), found);
}

static void test_login_is_recorded(void **state)
{
    struct fixture *fixture = *state;
    struct relay_found found;
    int64_t before = (int64_t)time(NULL);

    assert_int_equal(find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
    server_kit_ask(&fixture->kit, "login 192.0.2.1 user=ann%40x service=imap session=1\n", "ok\n");
    assert_int_equal(find(fixture, "192.0.2.1", &found), STATUS_OK);
    assert_string_equal(found.user, "ann@x");
    assert_string_equal(found.service, "imap");
    assert_in_range(found.login_at, before, before + 30);
    server_kit_ask(&fixture->kit, "login 2001:db8::77\n", "ok\n"); /* for its network */
    assert_int_equal(find(fixture, "2001:db8::1234", NULL), STATUS_OK);
    assert_int_equal(find(fixture, "2001:db8:1::77", NULL), STATUS_NOTFOUND);
}

static void test_add_and_logout(void **state)
{
    struct fixture *fixture = *state;

    server_kit_ask(&fixture->kit, "add 2001:db8::1\n", "ok\n"); /* as it is */
    assert_int_equal(find(fixture, "2001:db8::1", NULL), STATUS_OK);
    assert_int_equal(find(fixture, "2001:db8::2", NULL), STATUS_NOTFOUND);
    server_kit_ask(&fixture->kit, "logout 192.0.2.9\nlogout 2001:db8::1\n", "ok\nok\n");
    assert_int_equal(find(fixture, "192.0.2.9", NULL), STATUS_NOTFOUND);
    assert_int_equal(find(fixture, "2001:db8::1", NULL), STATUS_OK);
}

/* ---- sessions ---- */

static struct relay_sessions_stats stats_of(struct fixture *fixture)
{
    struct popauth_stats stats;

    popauth_stats(fixture->popauth, &stats);
    return stats.sessions;
}

static int64_t date_of(struct fixture *fixture, const char *address)
{
    struct relay_found found = {.login_at = 0};

    assert_int_equal(find(fixture, address, &found), STATUS_OK);
    return found.login_at;
}

/* Until the clock shows another second than that of a login. */
static void wait_a_second(int64_t date)
{
    while ((int64_t)time(NULL) <= date) {
        (void)usleep(10000);
    }
}

static void test_window_begins_with_the_last_logout(void **state)
{
    struct fixture *fixture = *state;
    struct relay_found found;

    server_kit_ask(&fixture->kit,
                   "login 192.0.2.1 user=ann service=imap session=<x/y=>\n"
                   "login 192.0.2.1 user=bob session=2\n"
                   "login 192.0.2.1 user=bob session=2\n"
                   "login 192.0.2.2\n",
                   "ok\nok\nok\nok\n");
    int64_t date = date_of(fixture, "192.0.2.1");

    assert_int_equal(stats_of(fixture).sessions, 2);
    assert_int_equal(stats_of(fixture).addresses, 1);
    wait_a_second(date);
    server_kit_ask(&fixture->kit,
                   "logout 192.0.2.1 session=2\n" /* not the last one */
                   "logout 192.0.2.1 session=2\n" /* is over already */
                   "logout 192.0.2.1 session=3\n" /* never was */
                   "logout 192.0.2.2 session=<x/y=>\n"
                   "logout 192.0.2.2\n"
                   "logout 192.0.2.1\n",
                   "ok\nok\nok\nok\nok\nok\n");
    assert_int_equal(stats_of(fixture).sessions, 1);
    assert_int_equal(date_of(fixture, "192.0.2.1"), date);
    assert_in_range(date_of(fixture, "192.0.2.2"), date - 1, date);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1 user=x session=<x/y=>\n", "ok\n");
    assert_int_equal(stats_of(fixture).sessions, 0);
    assert_int_equal(find(fixture, "192.0.2.1", &found), STATUS_OK);
    assert_true(found.login_at > date);
    assert_string_equal(found.user, "bob");
}

static void test_login_and_logout_at_once(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 100; i++) {
        server_kit_ask(&fixture->kit,
                       "login 192.0.2.1 session=1\nlogout 192.0.2.1 session=1\n"
                       "login 2001:db8::1 session=1\nlogout 2001:db8::1 session=1\n",
                       "ok\nok\nok\nok\n");
    }
    assert_int_equal(stats_of(fixture).sessions, 0);
    assert_int_equal(find(fixture, "192.0.2.1", NULL), STATUS_OK);
    assert_int_equal(find(fixture, "2001:db8::2", NULL), STATUS_OK);
}

/* Who was taken out of the store stays out of it, whatever his session does. */
static void test_logout_of_who_was_removed(void **state)
{
    struct fixture *fixture = *state;
    struct relay_change change = {.kind = RELAY_REMOVE};

    server_kit_ask(&fixture->kit, "login 192.0.2.1 session=1\n", "ok\n");
    assert_true(netaddr_parse("192.0.2.1", &change.entry.addr));
    assert_int_equal(relay_store_apply(fixture->store, &change, NULL, NULL), STATUS_OK);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1 session=1\n", "ok\n");
    assert_int_equal(find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
}

/* They log in all the same; their window begins at once. */
static void test_more_sessions_than_are_counted(void **state)
{
    struct fixture *fixture = *state;
    char line[64];

    for (int i = 0; i < 120; i++) {
        (void)snprintf(line, sizeof(line), "login 192.0.2.%d session=1\n", i);
        server_kit_ask(&fixture->kit, line, "ok\n");
    }
    assert_int_equal(stats_of(fixture).sessions, 100);
    assert_int_equal(stats_of(fixture).surplus, 20);
    assert_int_equal(find(fixture, "192.0.2.119", NULL), STATUS_OK);
    server_kit_ask(&fixture->kit, "logout 192.0.2.119 session=1\n", "ok\n");
    assert_int_equal(stats_of(fixture).sessions, 100);
}

static void test_sessions_are_not_counted(void **state)
{
    struct fixture *fixture = *state;
    const struct relay_sessions_terms terms = {.max_sessions = 100, .ipv6_prefix_bits = 64};

    server_kit_ask(&fixture->kit, "login 192.0.2.1 session=1\n", "ok\n");
    popauth_configure(fixture->popauth, &terms);
    assert_int_equal(stats_of(fixture).sessions, 0);
    server_kit_ask(&fixture->kit, "login 192.0.2.1 session=2\n", "ok\n");
    assert_int_equal(stats_of(fixture).sessions, 0);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1 session=2\n", "ok\n");
}

static void test_one_answer_for_each_line(void **state)
{
    struct fixture *fixture = *state;

    server_kit_ask(&fixture->kit,
                   "login 192.0.2.1\r\nnonsense\nlogin 192.0.2.2\n\nlogin x\nlogout 192.0.2.1\nadd "
                   "192.0.2.3",
                   "ok\nerr the request is none of login, logout, add\nok\nerr the request is none "
                   "of login, logout, add\nerr no IP address\nok\n");
    assert_int_equal(find(fixture, "192.0.2.2", NULL), STATUS_OK);
    assert_int_equal(find(fixture, "192.0.2.3", NULL), STATUS_NOTFOUND); /* half a line */
}

static void test_lines_that_are_too_long(void **state)
{
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
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
    assert_int_equal(find(fixture, "192.0.2.1", NULL), STATUS_NOTFOUND);
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
    struct fixture *fixture = *state;
    struct popauth_stats stats;
    struct relay_found found;

    server_kit_ask(&fixture->kit,
                   EVENT_LOGIN("192.0.2.1", "1001") EVENT_LOGIN("192.0.2.1", "1002")
                       EVENT("auth_request_finished", "192.0.2.7",
                             "1") "login 192.0.2.2\n"
                                  "{}\n" EVENT_LOGIN("192.0.2.3", "1")
                                      EVENT_LOGOUT("192.0.2.3", "1") "nonsense\n",
                   "ok\nerr the request is none of login, logout, add\n");
    assert_int_equal(find(fixture, "192.0.2.1", &found), STATUS_OK);
    assert_string_equal(found.user, "ann");
    assert_string_equal(found.service, "imap");
    assert_int_equal(find(fixture, "192.0.2.2", NULL), STATUS_OK);
    assert_int_equal(find(fixture, "192.0.2.3", NULL), STATUS_OK);
    assert_int_equal(find(fixture, "192.0.2.7", NULL), STATUS_NOTFOUND);
    popauth_stats(fixture->popauth, &stats);
    assert_int_equal(stats.sessions.sessions, 2);
    assert_int_equal(stats.ignored, 1);
    assert_int_equal(stats.refused, 2);
    /* The last logout of an address ends what its sessions have kept. */
    server_kit_ask(&fixture->kit,
                   EVENT_LOGOUT("192.0.2.1", "1002") EVENT_LOGOUT("192.0.2.1", "1002")
                       EVENT_LOGOUT("192.0.2.9", "1002"),
                   "");
    assert_int_equal(stats_of(fixture).sessions, 1);
    server_kit_ask(&fixture->kit, EVENT_LOGOUT("192.0.2.1", "1001"), "");
    assert_int_equal(stats_of(fixture).sessions, 0);
    assert_int_equal(find(fixture, "192.0.2.9", NULL), STATUS_NOTFOUND);
}

/* Who is allowed a long event is allowed no long line, however the bytes come. */
static void test_long_events(void **state)
{
    struct fixture *fixture = *state;
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
    assert_int_equal(find(fixture, "192.0.2.1", NULL), STATUS_OK);
    (void)close(fd);
    (void)memset(text, 'x', POPAUTH_MAX_EVENT);
    (void)memcpy(text + POPAUTH_MAX_LINE, "\n", 2);
    server_kit_ask(&fixture->kit, text, "err the line is too long\n");
    free(text);
}

/* What follows an event that is too long is a part of it, which somebody may have chosen: it is not read as a line. */
static void test_rest_of_an_event(void **state)
{
    struct fixture *fixture = *state;
    char *text = xcalloc(1, POPAUTH_MAX_EVENT + 100);
    struct popauth_stats stats;
    int fd = server_kit_dial(&fixture->kit);

    (void)memset(text, 'x', POPAUTH_MAX_EVENT);
    text[0] = '{';
    (void)snprintf(text + POPAUTH_MAX_EVENT, 100, "login 192.0.2.66\nlogin 192.0.2.67\n");
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    server_kit_expect_end(fd);
    (void)close(fd);
    assert_int_equal(find(fixture, "192.0.2.66", NULL), STATUS_NOTFOUND);
    assert_int_equal(find(fixture, "192.0.2.67", NULL), STATUS_NOTFOUND);
    popauth_stats(fixture->popauth, &stats);
    assert_int_equal(stats.refused, 1);
    free(text);
}

#define EVENTS 5000

/* Nobody reads, and everything is taken: more than may be unanswered, and in time. */
static void test_many_events(void **state)
{
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
    char line[64];
    char got[3 * LINES + 1];
    int fd = server_kit_dial(&fixture->kit);

    for (int n = 0; n < LINES; n++) {
        (void)snprintf(line, sizeof(line), "login 10.1.0.%d\n", n);
        server_kit_put(fd, line);
    }
    assert_int_equal(server_kit_get(fd, got, 3), 3); /* the first one, others are under way */
    stop(fixture);
    size_t acknowledged = 1 + server_kit_get(fd, got, sizeof(got) - 1) / 3;

    (void)close(fd);
    start(fixture);
    for (size_t n = 0; n < acknowledged; n++) {
        (void)snprintf(line, sizeof(line), "10.1.0.%zu", n);
        assert_int_equal(find(fixture, line, NULL), STATUS_OK);
    }
}

static void test_store_that_cannot_be_had(void **state)
{
    struct fixture *fixture = *state;
    char got[512];

    stop(fixture);
    (void)snprintf(fixture->file, sizeof(fixture->file), "/nonexistent/folder/relayers.gdbm");
    start(fixture);
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "login 192.0.2.1 session=1\n");
    assert_true(server_kit_get(fd, got, 4) == 4);
    assert_string_equal(got, "err ");
    assert_int_equal(stats_of(fixture).sessions, 0);
    (void)close(fd);
    server_kit_ask(&fixture->kit, "logout 192.0.2.1\n", "ok\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_login_is_recorded),
        TEST(test_add_and_logout),
        TEST(test_window_begins_with_the_last_logout),
        TEST(test_login_and_logout_at_once),
        TEST(test_logout_of_who_was_removed),
        TEST(test_more_sessions_than_are_counted),
        TEST(test_sessions_are_not_counted),
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
