/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Events of Dovecot: which of them are a login or its end, and what no event is.
 */
#include "milter/popauth_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NOW 1695420927

static enum popauth_event parse(const char *json, struct strbuf *texts, struct popauth_line *line,
                                const char **why)
{
    *why = "";
    return popauth_event_parse(json, strlen(json), NOW, texts, line, why);
}

#define CLIENT "\"remote_ip\":\"192.0.2.9\",\"remote_port\":45043"

/* As Dovecot 2.4.1 writes them: with the fields of the sample configuration, and with all that there are. */
static void test_logins_and_logouts(void **state)
{
    static const struct {
        const char *json;
        enum popauth_verb verb;
        const char *key;
        const char *user;
        const char *service;
        const char *session;
    } rows[] = {
        {"{\"event\":\"auth_master_client_login_finished\",\"categories\":[\"service:imap\",\"auth-"
         "client\"],\"fields\":{\"user\":\"ann\"," CLIENT "}}",
         POPAUTH_LOGIN, "192.0.2.9", "ann", "imap", "192.0.2.9/45043"},
        {"{\"event\":\"mail_user_session_finished\",\"categories\":[\"imap\",\"service:imap\","
         "\"storage\"],\"fields\":{\"user\":\"ann\"," CLIENT "}}",
         POPAUTH_LOGOUT, "192.0.2.9", "ann", "imap", "192.0.2.9/45043"},
        {"{\"event\":\"mail_user_session_finished\",\"hostname\":\"vm\",\"start_time\":\"2026-11-"
         "22T10:25:38.984839Z\",\"end_time\":\"2026-11-22T10:25:38.986494Z\",\"categories\":"
         "[\"service:pop3\",\"pop3\",\"storage\"],\"fields\":{\"minor_faults\":95,\"rss\":9998336,"
         "\"vsz\":50065408,\"user\":\"ann@example.com\",\"local_ip\":\"2001:db8::1\",\"local_port\":"
         "995,\"remote_ip\":\"2001:db8::77\",\"remote_port\":40652,\"net_in_bytes\":6,\"net_out_"
         "bytes\":34,\"session\":\"XEsM5tpgzJ5/AAAB\",\"service\":\"pop3\",\"duration\":1613}}",
         POPAUTH_LOGOUT, "2001:db8::77", "ann@example.com", "pop3", "2001:db8::77/40652"},
        {"{\"event\":\"imap_client_unhibernated\",\"categories\":[\"imap\",\"service:imap\"],"
         "\"fields\":{\"user\":\"ann\"," CLIENT "}}",
         POPAUTH_LOGIN, "192.0.2.9", "ann", "imap", "192.0.2.9/45043"},
        {"{\"event\":\"proxy_session_established\",\"categories\":[\"service:pop3-login\",\"login\""
         "],\"fields\":{\"user\":\"ann\"," CLIENT "}}",
         POPAUTH_LOGIN, "192.0.2.9", "ann", "pop3", "192.0.2.9/45043"},
        {"{\"event\":\"proxy_session_finished\",\"categories\":[\"service:imap-login\"],\"fields\":"
         "{" CLIENT ",\"error\":\"x\"}}",
         POPAUTH_LOGOUT, "192.0.2.9", "", "imap", "192.0.2.9/45043"},
        /* An IPv4 client of a socket for both; a name that is no ASCII and holds what a line must not. */
        {"{\"fields\":{\"remote_port\":1,\"remote_ip\":\"::ffff:192.0.2.9\",\"user\":\"\\u00e4 "
         "service=x\\n%\"},\"categories\":[\"service:imap\"],\"event\":\"auth_master_client_login_"
         "finished\"}",
         POPAUTH_LOGIN, "192.0.2.9", "\xc3\xa4 service=x\n%", "imap", "192.0.2.9/1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct popauth_line line;
        struct strbuf texts;
        const char *why;
        char key[RELAY_KEY_SIZE];

        strbuf_init(&texts);
        if (parse(rows[i].json, &texts, &line, &why) != POPAUTH_EVENT_TAKEN) {
            fail_msg("%s: %s", rows[i].json, why);
        }
        assert_int_equal(line.verb, rows[i].verb);
        assert_string_equal(relay_entry_key(&line.entry.addr, key), rows[i].key);
        assert_string_equal(line.entry.user, rows[i].user);
        assert_string_equal(line.entry.service, rows[i].service);
        assert_string_equal(line.session, rows[i].session);
        assert_int_equal(line.entry.login_at, NOW);
        strbuf_fini(&texts);
    }
}

#define IMAP "\"categories\":[\"service:imap\"],\"fields\":{\"user\":\"ann\"," CLIENT

static void test_events_of_no_login(void **state)
{
    static const char *const rows[] = {
        /* A password that is right: the session may be refused yet, and SMTP AUTH looks the same. */
        "{\"event\":\"auth_request_finished\",\"categories\":[\"auth\",\"service:auth\"],\"fields\":{"
        "\"success\":\"yes\",\"protocol\":\"imap\",\"user\":\"ann\"," CLIENT "}}",
        "{\"event\":\"auth_request_finished\"," IMAP ",\"success\":\"yes\"}}",
        "{\"event\":\"auth_master_client_login_started\"," IMAP "}}",
        "{\"event\":\"auth_master_client_login_finished\"," IMAP ",\"error\":\"no such user\"}}",
        "{\"event\":\"proxy_session_established\"," IMAP ",\"error\":\"\"}}",
        "{\"event\":\"imap_client_hibernated\"," IMAP "}}",
        "{\"event\":\"auth_master_client_login_finished\",\"categories\":[\"service:submission\"],"
        "\"fields\":{" CLIENT "}}",
        "{\"event\":\"auth_master_client_login_finished\",\"categories\":[\"service:managesieve\"],"
        "\"fields\":{" CLIENT "}}",
        "{\"event\":\"mail_user_session_finished\",\"categories\":[\"service:lmtp\",\"imap\",7,null],"
        "\"fields\":{" CLIENT "}}",
        "{\"event\":\"auth_master_client_login_finished\",\"categories\":[],\"fields\":{" CLIENT
        "}}",
        /* A session of the host itself, which was started without a network. */
        ("{\"event\":\"mail_user_session_finished\",\"categories\":[\"service:imap\"],\"fields\":{"
         "\"user\":\"ann\"}}"),
        "{\"event\":\"\",\"categories\":[],\"fields\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct popauth_line line;
        struct strbuf texts;
        const char *why;

        strbuf_init(&texts);
        if (parse(rows[i], &texts, &line, &why) != POPAUTH_EVENT_IGNORED) {
            fail_msg("%s: not ignored: %s", rows[i], why);
        }
        strbuf_fini(&texts);
    }
}

#define LOGIN \
    "{\"event\":\"auth_master_client_login_finished\",\"categories\":[\"service:imap\"],\"fields\":{"

static void test_what_is_wrong(void **state)
{
    static const struct {
        const char *json;
        const char *why;
    } rows[] = {
        {"", "no JSON"},
        {"{", "no JSON"},
        {"{}x", "no JSON"},
        {"[]", "no JSON"},
        {"\"event\"", "no JSON"},
        {"{\"event\":\"x\",\"event\":\"y\"}", "no JSON"},
        {LOGIN CLIENT ",\"user\":\"a\\u0000b\"}}", "no JSON"},
        {LOGIN CLIENT ",\"user\":\"\xff\"}}", "no JSON"},
        {"{}", "exporter_include"},
        {"{\"event\":\"auth_master_client_login_finished\"," CLIENT "}", "exporter_include"},
        {"{\"categories\":[],\"fields\":{}}", "exporter_include"},
        {"{\"event\":7,\"categories\":[],\"fields\":{}}", "exporter_include"},
        {"{\"event\":\"x\",\"categories\":\"service:imap\",\"fields\":{}}", "exporter_include"},
        {"{\"event\":\"x\",\"categories\":[],\"fields\":[]}", "exporter_include"},
        {LOGIN "\"remote_ip\":\"localhost\",\"remote_port\":1}}", "remote_ip"},
        {LOGIN "\"remote_ip\":\"192.0.2.9 user=x\",\"remote_port\":1}}", "remote_ip"},
        {LOGIN "\"remote_ip\":7,\"remote_port\":1}}", "remote_ip"},
        {LOGIN "\"remote_ip\":null,\"remote_port\":1}}", "remote_ip"},
        {LOGIN "\"remote_ip\":\"2001:db8::/64\",\"remote_port\":1}}", "network"},
        {LOGIN "\"remote_ip\":\"192.0.2.9\"}}", "remote_port"},
        {LOGIN "\"remote_ip\":\"192.0.2.9\",\"remote_port\":0}}", "remote_port"},
        {LOGIN "\"remote_ip\":\"192.0.2.9\",\"remote_port\":65536}}", "remote_port"},
        {LOGIN "\"remote_ip\":\"192.0.2.9\",\"remote_port\":\"45043\"}}", "remote_port"},
        {LOGIN "\"remote_ip\":\"192.0.2.9\",\"remote_port\":-1}}", "remote_port"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct popauth_line line;
        struct strbuf texts;
        const char *why;

        strbuf_init(&texts);
        if (parse(rows[i].json, &texts, &line, &why) != POPAUTH_EVENT_WRONG ||
            strstr(why, rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].json, why);
        }
        strbuf_fini(&texts);
    }
}

/* A user who cannot be kept costs nobody the login. */
static void test_long_user(void **state)
{
    char json[1024];
    struct popauth_line line;
    struct strbuf texts;
    const char *why;

    (void)state;
    strbuf_init(&texts);
    for (unsigned len = RELAY_USER_MAX; len <= RELAY_USER_MAX + 1; len++) {
        (void)snprintf(json, sizeof(json), LOGIN CLIENT ",\"user\":\"%0*d\"}}", (int)len, 0);
        assert_int_equal(parse(json, &texts, &line, &why), POPAUTH_EVENT_TAKEN);
        assert_int_equal(strlen(line.entry.user), len == RELAY_USER_MAX ? len : 0);
    }
    strbuf_fini(&texts);
}

/* Deep nesting and much of it: an end in time, and no stack that runs out. */
static void test_nesting(void **state)
{
    static char json[POPAUTH_MAX_EVENT];
    struct popauth_line line;
    struct strbuf texts;
    const char *why = "";

    (void)state;
    strbuf_init(&texts);
    (void)memset(json, '[', sizeof(json));
    json[0] = '{';
    assert_int_equal(popauth_event_parse(json, sizeof(json), NOW, &texts, &line, &why),
                     POPAUTH_EVENT_WRONG);
    strbuf_fini(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logins_and_logouts),
        cmocka_unit_test(test_events_of_no_login),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_long_user),
        cmocka_unit_test(test_nesting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
