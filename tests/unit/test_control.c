/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket with clients that behave and clients that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "milter/control.h"
#include "milter/eventloop.h"
#include "milter/listener.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SLOW_MS 700

struct fixture {
    char folder[32];
    char path[64];
    struct listener listener;
    struct eventloop *loop;
    struct control *control;
    atomic_int requests;
    size_t answer_size; /* of the answer to "large" */
};

static char *handler(void *owner, const char *request, int fd)
{
    struct fixture *fixture = owner;

    fixture->requests++;
    if (strcmp(request, "file") == 0) {
        char *text = xcalloc(1, 64);

        assert_true(pread(fd, text, 63, 0) >= 0);
        return text;
    }
    assert_int_equal(fd, -1);
    if (strcmp(request, "slow") == 0) {
        (void)poll(NULL, 0, SLOW_MS);
    }
    if (strcmp(request, "large") == 0) {
        char *answer = xmalloc(fixture->answer_size + 1);

        (void)memset(answer, 'x', fixture->answer_size);
        answer[fixture->answer_size] = '\0';
        return answer;
    }
    size_t size = strlen(request) + sizeof("got:");
    char *answer = xmalloc(size);

    (void)snprintf(answer, size, "got:%s", request);
    return answer;
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    struct strbuf why;
    int fd;

    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/postern-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/control.sock", fixture->folder);
    fixture->answer_size = 8u << 20;
    strbuf_init(&why);
    listener_init(&fixture->listener);
    assert_int_equal(listener_open(&fixture->listener, fixture->path, 0660, (gid_t)-1, &fd, &why),
                     STATUS_OK);
    strbuf_fini(&why);
    fixture->loop = eventloop_new();
    assert_non_null(fixture->loop);
    assert_true(eventloop_start(fixture->loop));
    fixture->control = control_start(fixture->loop, fd, handler, fixture, NULL);
    assert_non_null(fixture->control);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    control_stop(&fixture->control);
    assert_null(fixture->control);
    eventloop_free(&fixture->loop);
    listener_close(&fixture->listener);
    assert_int_equal(rmdir(fixture->folder), 0); /* nothing was left behind */
    free(fixture);
    return 0;
}

static int dial(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)memcpy(address.sun_path, fixture->path, strlen(fixture->path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* All until the daemon closes; the length. */
static size_t read_all(int fd, char *buf, size_t size)
{
    size_t len = 0;
    ssize_t got = 0;

    while (len + 1 < size && (got = read(fd, buf + len, size - 1 - len)) > 0) {
        len += (size_t)got;
    }
    buf[len] = '\0';
    return len;
}

static void ask(const struct fixture *fixture, const char *request, const char *answer)
{
    char buf[1024];
    int fd = dial(fixture);

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    (void)read_all(fd, buf, sizeof(buf));
    assert_string_equal(buf, answer);
    (void)close(fd);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_request_and_answer(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, "status\n", "got:status\n");
    ask(fixture, "\n", "got:\n");
    ask(fixture, "one\ntwo\n", "got:one\n"); /* one request a connection */
    assert_int_equal(fixture->requests, 3);
}

static void test_request_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    char buf[64];
    int fd = dial(fixture);

    for (const char *c = "stats\n"; *c != '\0'; c++) {
        assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
        (void)poll(NULL, 0, 2);
    }
    (void)read_all(fd, buf, sizeof(buf));
    assert_string_equal(buf, "got:stats\n");
    (void)close(fd);
}

static void test_request_without_end_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char line[2 * CONTROL_MAX_REQUEST];
    char buf[1024];
    int fd = dial(fixture);

    (void)memset(line, 'a', sizeof(line));
    assert_int_equal(send(fd, line, sizeof(line), MSG_NOSIGNAL), sizeof(line));
    (void)read_all(fd, buf, sizeof(buf));
    assert_non_null(strstr(buf, "too long"));
    assert_int_equal(fixture->requests, 0);
    (void)close(fd);
}

static void test_file_that_comes_along(void **state)
{
    struct fixture *fixture = *state;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char line[] = "file\n";
    struct iovec part = {.iov_base = line, .iov_len = strlen(line)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.bytes)};
    char buf[128];
    FILE *file = tmpfile();
    int fd = dial(fixture);

    assert_non_null(file);
    assert_int_equal(write(fileno(file), "in the file", 11), 11);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    int passed = fileno(file);

    (void)memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
    assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)part.iov_len);
    (void)read_all(fd, buf, sizeof(buf));
    assert_string_equal(buf, "in the file\n");
    (void)close(fd);
    (void)fclose(file);
}

static void test_request_that_takes_long_holds_up_no_other(void **state)
{
    struct fixture *fixture = *state;
    char buf[64];
    int slow = dial(fixture);
    int64_t begun = now_ms();

    assert_int_equal(send(slow, "slow\n", 5, MSG_NOSIGNAL), 5);
    while (fixture->requests == 0) {
        (void)poll(NULL, 0, 1);
    }
    ask(fixture, "status\n", "got:status\n");
    assert_true(now_ms() - begun < SLOW_MS);
    (void)read_all(slow, buf, sizeof(buf));
    assert_string_equal(buf, "got:slow\n");
    (void)close(slow);
}

static void test_large_answer_to_a_slow_reader(void **state)
{
    struct fixture *fixture = *state;
    size_t size = fixture->answer_size + 16;
    char *buf = xmalloc(size);
    int slow = dial(fixture);

    assert_int_equal(send(slow, "large\n", 6, MSG_NOSIGNAL), 6);
    ask(fixture, "status\n", "got:status\n"); /* does not wait for the slow one */
    assert_int_equal(read_all(slow, buf, size), fixture->answer_size + 1);
    (void)close(slow);
    free(buf);
}

static void test_silent_clients_hold_up_nobody(void **state)
{
    struct fixture *fixture = *state;
    int silent[3 * CONTROL_MAX_CLIENTS];
    const size_t count = sizeof(silent) / sizeof(silent[0]);

    for (size_t i = 0; i < count; i++) {
        silent[i] = dial(fixture);
    }
    int64_t begun = now_ms();

    ask(fixture, "status\n", "got:status\n");
    assert_true(now_ms() - begun < CONTROL_DEADLINE_MS / 2);
    begun = now_ms();
    control_stop(&fixture->control);
    assert_true(now_ms() - begun < CONTROL_DEADLINE_MS / 2);
    for (size_t i = 0; i < count; i++) {
        (void)close(silent[i]);
    }
}

static void test_client_that_goes_away(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 50; i++) {
        int fd = dial(fixture);

        (void)send(fd, "large\n", i % 7, MSG_NOSIGNAL);
        (void)close(fd);
    }
    ask(fixture, "status\n", "got:status\n");
}

static void test_silent_client_meets_its_deadline(void **state)
{
    struct fixture *fixture = *state;
    char byte;
    int64_t begun = now_ms();
    int fd = dial(fixture);

    assert_int_equal(read(fd, &byte, 1), 0);
    assert_true(now_ms() - begun >= CONTROL_DEADLINE_MS - 100);
    assert_true(now_ms() - begun < 2 * CONTROL_DEADLINE_MS);
    (void)close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_and_answer),
        TEST(test_request_in_pieces),
        TEST(test_request_without_end_is_refused),
        TEST(test_file_that_comes_along),
        TEST(test_request_that_takes_long_holds_up_no_other),
        TEST(test_large_answer_to_a_slow_reader),
        TEST(test_silent_clients_hold_up_nobody),
        TEST(test_client_that_goes_away),
        TEST(test_silent_client_meets_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
