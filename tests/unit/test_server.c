/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server with a protocol of lines, and clients that behave and clients that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "milter/server.h"
#include "tests/unit/server_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_REQUEST 64u
#define MAX_CLIENTS 1000u
#define MAX_UNANSWERED 8u
#define REQUEST_MS 300
#define BIG 100000u

struct fixture {
    struct server_kit kit;
    struct eventloop *loop;
    struct server *server;
    atomic_int requests;
    pthread_mutex_t lock; /* for the promises */
    struct server_answer *promises[256];
    size_t promised;
    struct server_peer peer;
    int descriptor;
};

/* Lines: "promise" is answered when the test says so, "big" by much, "end" by no more; others by themselves. */
static size_t answer_line(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct fixture *fixture = owner;
    const char *end = memchr(data, '\n', len);
    char line[MAX_REQUEST + 1];

    if (end == NULL) {
        return SERVER_INCOMPLETE;
    }
    size_t line_len = (size_t)(end - data);

    (void)snprintf(line, sizeof(line), "%.*s", (int)line_len, data);
    fixture->peer = server_peer(client);
    if (strcmp(line, "promise") == 0) {
        (void)pthread_mutex_lock(&fixture->lock);
        fixture->promises[fixture->promised++] = server_promise(client);
        (void)pthread_mutex_unlock(&fixture->lock);
    } else if (strcmp(line, "big") == 0) {
        char *big = xcalloc(1, BIG);

        server_reply(client, memset(big, 'b', BIG), BIG);
        free(big);
    } else if (strcmp(line, "descriptor") == 0) {
        fixture->descriptor = server_take_descriptor(client);
        server_reply(client, "got\n", 4);
    } else if (strcmp(line, "end") == 0) {
        server_reply(client, "bye\n", 4);
        return SERVER_END;
    } else {
        server_reply(client, data, line_len + 1);
    }
    return line_len + 1;
}

/* Counts a request when all is done for it, for whoever waits for that. */
static size_t take_line(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct fixture *fixture = owner;
    size_t taken = answer_line(fixture, client, data, len);

    if (taken != SERVER_INCOMPLETE) {
        atomic_fetch_add(&fixture->requests, 1);
    }
    return taken;
}

static const struct server_protocol lines = {
    .name = "lines",
    .max_request = MAX_REQUEST,
    .max_clients = MAX_CLIENTS,
    .max_unanswered = MAX_UNANSWERED,
    .request_ms = REQUEST_MS,
    .takes_descriptor = true,
    .request = take_line,
};

/* A server serves an eighth as many clients as the process may have descriptors. */
static void raise_limit(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    raise_limit();
    (void)pthread_mutex_init(&fixture->lock, NULL);
    fixture->descriptor = -1;
    fixture->loop = eventloop_new();
    assert_non_null(fixture->loop);
    assert_true(eventloop_start(fixture->loop));
    fixture->server = server_new(fixture->loop, &lines, fixture, server_kit_open(&fixture->kit),
                                 NULL);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    server_free(&fixture->server);
    assert_null(fixture->server);
    eventloop_free(&fixture->loop);
    server_kit_close(&fixture->kit);
    (void)pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

static void wait_for_requests(struct fixture *fixture, int wanted)
{
    int64_t deadline = server_kit_now() + 20000;

    while (atomic_load(&fixture->requests) < wanted) {
        assert_true(server_kit_now() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static void wait_for_clients(struct fixture *fixture, unsigned wanted)
{
    int64_t deadline = server_kit_now() + 20000;

    while (server_clients(fixture->server) != wanted) {
        assert_true(server_kit_now() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static void expect(int fd, const char *text)
{
    char got[4096];

    assert_true(strlen(text) < sizeof(got));
    (void)server_kit_get(fd, got, strlen(text));
    assert_string_equal(got, text);
}

/* ---- clients that behave ---- */

static void test_requests_of_one_connection(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "one\ntwo\nth");
    expect(fd, "one\ntwo\n");
    server_kit_put(fd, "ree\n");
    expect(fd, "three\n");
    assert_int_equal(fixture->peer.pid, getpid());
    assert_int_equal(fixture->peer.uid, geteuid());
    (void)close(fd);
    wait_for_clients(fixture, 0);
}

static void test_answers_come_in_the_order_of_the_requests(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "a\npromise\nb\npromise\nc\n");
    wait_for_requests(fixture, 5);
    server_keep(fixture->promises[1], "second\n", 7);
    expect(fd, "a\n");
    server_keep(fixture->promises[0], "first\n", 6);
    expect(fd, "first\nb\nsecond\nc\n");
    (void)close(fd);
}

static void test_answer_that_is_empty_is_no_answer(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "promise\nx\n");
    wait_for_requests(fixture, 2);
    server_keep(fixture->promises[0], NULL, 0);
    expect(fd, "x\n");
    (void)close(fd);
}

static void test_client_that_sends_no_more_gets_its_answers(void **state)
{
    struct fixture *fixture = *state;
    char got[64];
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "x\npromise\nhalf a request");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    wait_for_requests(fixture, 2);
    server_keep(fixture->promises[0], "late\n", 5);
    (void)server_kit_get(fd, got, sizeof(got) - 1);
    assert_string_equal(got, "x\nlate\n");
    assert_int_equal(fixture->requests, 2);
    (void)close(fd);
}

static void test_requests_of_who_does_not_wait_for_answers(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    for (int i = 0; i < 100; i++) {
        server_kit_put(fd, "say and go\n");
    }
    (void)close(fd);
    wait_for_requests(fixture, 100);
    wait_for_clients(fixture, 0);
}

static void test_end_of_requests(void **state)
{
    struct fixture *fixture = *state;
    char got[64];
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "x\nend\nnever\nmore\n");
    (void)server_kit_get(fd, got, sizeof(got) - 1);
    assert_string_equal(got, "x\nbye\n");
    assert_int_equal(fixture->requests, 2);
    (void)close(fd);
}

/* ---- descriptors that come along ---- */

/* Sends a request with `count` ends of pipes; *reads_out has their other ends. */
static void put_with_descriptors(int fd, const char *text, int count, int reads_out[2])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    int passed[2];

    message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    for (int i = 0; i < count; i++) {
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        reads_out[i] = ends[0];
        passed[i] = ends[1];
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    (void)memcpy(CMSG_DATA(header), passed, (size_t)count * sizeof(int));
    assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)part.iov_len);
    for (int i = 0; i < count; i++) {
        (void)close(passed[i]);
    }
}

static void test_one_descriptor_comes_along(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);
    int reads[2] = {-1, -1};
    char byte = 0;

    put_with_descriptors(fd, "descriptor\n", 2, reads);
    expect(fd, "got\n");
    assert_true(fixture->descriptor >= 0);
    assert_int_equal(write(fixture->descriptor, "x", 1), 1);
    assert_int_equal(read(reads[0], &byte, 1), 1);
    assert_int_equal(read(reads[1], &byte, 1), 0); /* the second one was closed */
    (void)close(fixture->descriptor);
    (void)close(reads[0]);
    (void)close(reads[1]);

    put_with_descriptors(fd, "nobody takes it\n", 1, reads);
    expect(fd, "nobody takes it\n");
    (void)close(fd);
    assert_int_equal(read(reads[0], &byte, 1), 0); /* closed with the connection */
    (void)close(reads[0]);
}

/* ---- clients that do not behave ---- */

static void test_request_without_end(void **state)
{
    struct fixture *fixture = *state;
    char line[MAX_REQUEST + 8];
    int fd = server_kit_dial(&fixture->kit);

    (void)memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    server_kit_put(fd, line);
    server_kit_expect_end(fd);
    assert_int_equal(fixture->requests, 0);
    (void)close(fd);
}

static void test_slow_request_meets_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    int64_t begun = server_kit_now();
    int slow = server_kit_dial(&fixture->kit);
    int idle = server_kit_dial(&fixture->kit);

    for (int i = 0; i < 8 && server_kit_now() - begun < 2 * REQUEST_MS; i++) {
        (void)send(slow, "x", 1, MSG_NOSIGNAL); /* a byte now and then does not prolong it */
        (void)poll(NULL, 0, REQUEST_MS / 4);
    }
    server_kit_expect_end(slow);
    assert_true(server_kit_now() - begun >= REQUEST_MS - 10);
    server_kit_put(idle, "still here\n"); /* no request, no deadline */
    expect(idle, "still here\n");
    (void)close(slow);
    (void)close(idle);
}

/* What it asks for is not even made when it takes nothing; others are served meanwhile. */
static void test_client_that_never_reads_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    int deaf = server_kit_dial(&fixture->kit);

    for (int i = 0; i < 100; i++) {
        server_kit_put(deaf, "big\n");
    }
    wait_for_requests(fixture, 1);
    server_kit_ask(&fixture->kit, "quick\n", "quick\n");
    wait_for_clients(fixture, 0);
    assert_in_range(fixture->requests, 2, 2 + 2 * MAX_UNANSWERED);
    (void)close(deaf);
}

static void test_flood_waits_for_the_answers(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    for (int i = 0; i < 20; i++) {
        server_kit_put(fd, "promise\n");
    }
    wait_for_requests(fixture, MAX_UNANSWERED);
    (void)poll(NULL, 0, 2 * REQUEST_MS); /* that we take our time is not held against the client */
    assert_int_equal(fixture->requests, MAX_UNANSWERED);
    for (int i = 0; i < 20; i++) {
        wait_for_requests(fixture, i + 1);
        (void)pthread_mutex_lock(&fixture->lock);
        struct server_answer *answer = fixture->promises[i];

        (void)pthread_mutex_unlock(&fixture->lock);
        server_keep(answer, "kept\n", 5);
        expect(fd, "kept\n");
    }
    (void)close(fd);
}

static void test_client_that_is_gone_when_its_answer_comes(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "promise\npromise\n");
    wait_for_requests(fixture, 2);
    (void)close(fd);
    server_keep(fixture->promises[0], "x\n", 2);
    server_keep(fixture->promises[1], "x\n", 2);
    wait_for_clients(fixture, 0);
}

static void test_promises_that_are_kept_after_the_end(void **state)
{
    struct fixture *fixture = *state;
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "promise\n");
    wait_for_requests(fixture, 1);
    server_free(&fixture->server);
    server_kit_expect_end(fd);
    server_keep(fixture->promises[0], "x\n", 2);
    (void)close(fd);
}

static void test_finish_keeps_promises_and_takes_no_requests(void **state)
{
    struct fixture *fixture = *state;
    char got[64];
    int fd = server_kit_dial(&fixture->kit);

    server_kit_put(fd, "promise\n");
    wait_for_requests(fixture, 1);
    server_finish(fixture->server);
    server_kit_put(fd, "too late\n");
    server_keep(fixture->promises[0], "kept\n", 5);
    (void)server_kit_get(fd, got, sizeof(got) - 1);
    assert_string_equal(got, "kept\n");
    assert_int_equal(fixture->requests, 1);
    (void)close(fd);
}

/* ---- many ---- */

static void test_the_one_that_is_silent_for_longest_makes_room(void **state)
{
    struct fixture *fixture = *state;
    int *fds = xcalloc(MAX_CLIENTS, sizeof(*fds));
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 8 * (rlim_t)MAX_CLIENTS) {
        free(fds);
        skip();
    }
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        fds[i] = server_kit_dial(&fixture->kit);
    }
    wait_for_clients(fixture, MAX_CLIENTS);
    server_kit_put(fds[0], "first\n");
    expect(fds[0], "first\n");
    server_kit_ask(&fixture->kit, "one more\n", "one more\n");
    server_kit_expect_end(fds[1]); /* the oldest that said nothing */
    server_kit_put(fds[0], "still\n");
    expect(fds[0], "still\n");
    for (size_t i = 2; i < MAX_CLIENTS; i++) {
        server_kit_put(fds[i], "here\n");
        expect(fds[i], "here\n");
    }
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        (void)close(fds[i]);
    }
    free(fds);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests_of_one_connection),
        TEST(test_answers_come_in_the_order_of_the_requests),
        TEST(test_answer_that_is_empty_is_no_answer),
        TEST(test_client_that_sends_no_more_gets_its_answers),
        TEST(test_requests_of_who_does_not_wait_for_answers),
        TEST(test_end_of_requests),
        TEST(test_one_descriptor_comes_along),
        TEST(test_request_without_end),
        TEST(test_slow_request_meets_its_deadline),
        TEST(test_client_that_never_reads_is_dropped),
        TEST(test_flood_waits_for_the_answers),
        TEST(test_client_that_is_gone_when_its_answer_comes),
        TEST(test_promises_that_are_kept_after_the_end),
        TEST(test_finish_keeps_promises_and_takes_no_requests),
        TEST(test_the_one_that_is_silent_for_longest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
