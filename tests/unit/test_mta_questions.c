/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sockets for an MTA's questions, over real sockets: many questions on a connection, in pieces and at once, and clients that do
 * not speak the protocol.
 */
#include "lib/base/xalloc.h"
#include "milter/eventloop.h"
#include "milter/listener.h"
#include "milter/policy_server.h"
#include "milter/snapshot.h"
#include "milter/socketmap.h"
#include "tests/unit/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 200

struct fixture {
    struct scene scene;
    struct snapshot *snapshot;
    struct eventloop *loop;
    struct listener map_listener;
    struct listener policy_listener;
    struct socketmap *socketmap;
    struct policy_server *policy;
};

static int listen_on(struct fixture *fixture, const char *name, struct listener *listener)
{
    char path[SITE_PATH_SIZE];
    struct strbuf why;
    int fd = -1;

    strbuf_init(&why);
    listener_init(listener);
    assert_int_equal(listener_open(listener, site_path(&fixture->scene.site, name, path), 0600,
                                   (gid_t)-1, &fd, &why),
                     STATUS_OK);
    strbuf_fini(&why);
    return fd;
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    scene_init(&fixture->scene, "", "Connect:10.1.2 RELAY\nTo:friend.test RELAY\n");
    scene_relayers(&fixture->scene, "198.18.0.7 1695420927\n", false);
    fixture->snapshot = snapshot_new(ruleset_ref(fixture->scene.ruleset));
    fixture->loop = eventloop_new();
    assert_non_null(fixture->loop);
    assert_true(eventloop_start(fixture->loop));
    fixture->socketmap = socketmap_start(fixture->loop,
                                         listen_on(fixture, "map.sock", &fixture->map_listener),
                                         fixture->snapshot, &fixture->scene.relayers, NULL);
    assert_non_null(fixture->socketmap);
    fixture->policy = policy_server_start(
        fixture->loop, listen_on(fixture, "policy.sock", &fixture->policy_listener),
        fixture->snapshot, &fixture->scene.relayers, NULL);
    assert_non_null(fixture->policy);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    socketmap_close_socket(fixture->socketmap);
    socketmap_stop(&fixture->socketmap);
    policy_server_stop(&fixture->policy);
    assert_null(fixture->policy);
    eventloop_free(&fixture->loop);
    listener_close(&fixture->map_listener);
    listener_close(&fixture->policy_listener);
    snapshot_free(&fixture->snapshot);
    scene_fini(&fixture->scene);
    free(fixture);
    return 0;
}

static int dial(struct fixture *fixture, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 20};
    char path[SITE_PATH_SIZE];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    site_path(&fixture->scene.site, name, path);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static void put(int fd, const char *text, size_t len)
{
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads as many bytes as `expected` has; fails if they are others. */
static void get(int fd, const char *expected)
{
    size_t len = strlen(expected);
    char *got = xcalloc(1, len + 1);
    size_t have = 0;

    while (have < len) {
        ssize_t count = recv(fd, got + have, len - have, 0);

        if (count <= 0) {
            fail_msg("got \"%s\" of \"%s\"", got, expected);
        }
        have += (size_t)count;
    }
    assert_string_equal(got, expected);
    free(got);
}

/* Nothing comes, and the connection has ended. */
static void expect_end(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_int_equal(close(fd), 0);
}

static void test_map_questions(void **state)
{
    int fd = dial(*state, "map.sock");

    put(fd, "19:relayers 198.18.0.7,", 23);
    get(fd, "5:OK OK,");
    put(fd, "19:relayers 198.18.0.8,", 23);
    get(fd, "9:NOTFOUND ,");
    put(fd, "21:relay_client 10.1.2.3,", 25);
    get(fd, "5:OK OK,");
    put(fd, "11:passwd root,", 15);
    get(fd, "33:PERM there is no map of this name,");
    put(fd, "15:drac 198.18.0.7,", 19);
    get(fd, "5:OK OK,");
    assert_int_equal(close(fd), 0);
}

static void test_map_question_in_pieces(void **state)
{
    const char *text = "25:relay_to user@friend.test,";
    int fd = dial(*state, "map.sock");

    (void)state;
    for (size_t i = 0; i < strlen(text); i++) {
        put(fd, text + i, 1);
    }
    get(fd, "5:OK OK,");
    assert_int_equal(close(fd), 0);
}

/* Answers keep the order of the questions, though some are given at once and some by threads. */
static void test_map_questions_at_once(void **state)
{
    int fd = dial(*state, "map.sock");
    struct strbuf asked;
    struct strbuf expected;

    strbuf_init(&asked);
    strbuf_init(&expected);
    for (int i = 0; i < MANY; i++) {
        strbuf_append(&asked, "25:relay_to user@friend.test,19:relayers 198.18.0.8,");
        strbuf_append(&expected, "5:OK OK,9:NOTFOUND ,");
    }
    put(fd, asked.data, asked.len);
    get(fd, expected.data);
    strbuf_fini(&asked);
    strbuf_fini(&expected);
    assert_int_equal(close(fd), 0);
}

static void test_map_strangers(void **state)
{
    static const char *const texts[] = {
        "GET / HTTP/1.0\r\n\r\n",  "8:relayers,", "0:,", "999999999:", "4097:",
        "19:relayers 198.18.0.7;", "\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int fd = dial(*state, "map.sock");

        put(fd, texts[i], strlen(texts[i]));
        expect_end(fd);
    }
    /* Others do not notice. */
    test_map_questions(state);
}

#define QUESTION                                                              \
    "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_name=unknown\n" \
    "reverse_client_name=unknown\nsender=\nrecipient=x@other.test\nclient_address="

static void test_policy_questions(void **state)
{
    int fd = dial(*state, "policy.sock");

    put(fd, QUESTION "198.18.0.7\n\n", sizeof(QUESTION "198.18.0.7\n\n") - 1);
    get(fd, "action=OK\n\n");
    put(fd, QUESTION "198.18.0.8\n\n", sizeof(QUESTION "198.18.0.8\n\n") - 1);
    get(fd, "action=DUNNO\n\n");
    put(fd, "request=junk\n\n", 14);
    get(fd, "action=DUNNO\n\n");
    put(fd, "no attribute\n\n", 14);
    get(fd, "action=DUNNO\n\n");
    put(fd, "\n", 1);
    get(fd, "action=DUNNO\n\n");
    assert_int_equal(close(fd), 0);
}

static void test_policy_questions_at_once_and_in_pieces(void **state)
{
    int fd = dial(*state, "policy.sock");
    const char *text = QUESTION "198.18.0.7\n\n";
    struct strbuf asked;
    struct strbuf expected;

    strbuf_init(&asked);
    strbuf_init(&expected);
    for (int i = 0; i < MANY; i++) {
        strbuf_append(&asked, QUESTION "198.18.0.7\n\n" QUESTION "198.18.0.8\n\n");
        strbuf_append(&expected, "action=OK\n\naction=DUNNO\n\n");
    }
    put(fd, asked.data, asked.len);
    get(fd, expected.data);
    for (size_t i = 0; i < strlen(text); i++) {
        put(fd, text + i, 1);
    }
    get(fd, "action=OK\n\n");
    strbuf_fini(&asked);
    strbuf_fini(&expected);
    assert_int_equal(close(fd), 0);
}

static void test_policy_question_without_end(void **state)
{
    int fd = dial(*state, "policy.sock");
    char line[1024];

    memset(line, 'a', sizeof(line));
    for (int i = 0; i < 64; i++) {
        if (send(fd, line, sizeof(line), MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    char byte;

    assert_true(recv(fd, &byte, 1, 0) <= 0);
    assert_int_equal(close(fd), 0);
    test_policy_questions(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_map_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_map_question_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_map_questions_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_map_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy_questions_at_once_and_in_pieces, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_policy_question_without_end, setup, teardown),
    };

    return cmocka_run_group_tests_name("mta_questions", tests, NULL, NULL);
}
