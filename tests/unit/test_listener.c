/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One daemon per socket, and no file that is not its own is ever removed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "milter/background.h"
#include "milter/listener.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char folder[32];
    char path[64];
    struct listener listener;
    struct strbuf why;
    int fd;
};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/postern-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/x.sock", fixture->folder);
    listener_init(&fixture->listener);
    strbuf_init(&fixture->why);
    fixture->fd = -1;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->fd >= 0) {
        (void)close(fixture->fd);
    }
    listener_close(&fixture->listener);
    strbuf_fini(&fixture->why);
    (void)unlink(fixture->path);
    assert_int_equal(rmdir(fixture->folder), 0); /* no lock is left */
    free(fixture);
    return 0;
}

static enum status open_it(struct fixture *fixture)
{
    return listener_open(&fixture->listener, fixture->path, 0620, (gid_t)-1, &fixture->fd,
                         &fixture->why);
}

static bool is_there(const char *path)
{
    struct stat there;

    return lstat(path, &there) == 0;
}

/* A socket of somebody else; the descriptor. */
static int bind_other(const char *path, bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(!listening || listen(fd, 1) == 0);
    return fd;
}

static void test_opens_with_its_mode_and_closes_without_a_trace(void **state)
{
    struct fixture *fixture = *state;
    struct stat made;

    assert_int_equal(open_it(fixture), STATUS_OK);
    assert_int_equal(lstat(fixture->path, &made), 0);
    assert_true(S_ISSOCK(made.st_mode));
    assert_int_equal(made.st_mode & 07777, 0620);
    listener_close(&fixture->listener);
    assert_false(is_there(fixture->path));
    listener_close(&fixture->listener);
}

static void test_left_over_socket_is_replaced(void **state)
{
    struct fixture *fixture = *state;

    (void)close(bind_other(fixture->path, true));
    assert_true(is_there(fixture->path));
    assert_int_equal(open_it(fixture), STATUS_OK);
}

static void test_socket_that_answers_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    int other = bind_other(fixture->path, true);

    assert_int_equal(open_it(fixture), STATUS_INVALID);
    assert_non_null(strstr(fixture->why.data, fixture->path));
    assert_non_null(strstr(fixture->why.data, "answers"));
    assert_true(is_there(fixture->path));
    (void)close(other);
}

static void test_socket_with_a_full_queue_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int other = bind_other(fixture->path, true);
    int clients[8];

    (void)memcpy(address.sun_path, fixture->path, strlen(fixture->path) + 1);
    for (int i = 0; i < 8; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(clients[i], (struct sockaddr *)&address, sizeof(address));
    }
    assert_int_equal(open_it(fixture), STATUS_INVALID);
    assert_true(is_there(fixture->path));
    for (int i = 0; i < 8; i++) {
        (void)close(clients[i]);
    }
    (void)close(other);
}

static void test_other_files_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)close(fd);
    assert_int_equal(open_it(fixture), STATUS_INVALID);
    assert_non_null(strstr(fixture->why.data, "not a socket"));
    assert_true(is_there(fixture->path));
    (void)unlink(fixture->path);
    assert_int_equal(symlink("/nonexistent/target", fixture->path), 0);
    assert_int_equal(open_it(fixture), STATUS_INVALID);
    assert_true(is_there(fixture->path));
}

static void test_lock_keeps_a_second_one_out(void **state)
{
    struct fixture *fixture = *state;
    struct listener second;
    int fd;

    assert_int_equal(open_it(fixture), STATUS_OK);
    (void)unlink(fixture->path); /* even if its socket is gone */
    listener_init(&second);
    assert_int_equal(listener_open(&second, fixture->path, 0600, (gid_t)-1, &fd, &fixture->why),
                     STATUS_INVALID);
    assert_non_null(strstr(fixture->why.data, "another postern"));
    assert_int_equal(fd, -1);
}

static void test_socket_of_a_successor_is_not_removed(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_it(fixture), STATUS_OK);
    (void)unlink(fixture->path);
    int other = bind_other(fixture->path, true);

    listener_close(&fixture->listener);
    assert_true(is_there(fixture->path));
    (void)close(other);
}

static void test_bad_paths(void **state)
{
    struct fixture *fixture = *state;
    char name[300];

    (void)memset(name, 'a', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(listener_prepare(&fixture->listener, name, &fixture->why), STATUS_INVALID);
    assert_int_equal(listener_prepare(&fixture->listener, "relative", &fixture->why),
                     STATUS_INVALID);
    assert_int_equal(listener_prepare(&fixture->listener, "/nonexistent/x.sock", &fixture->why),
                     STATUS_INVALID);
    assert_non_null(strstr(fixture->why.data, "/nonexistent/x.sock.lock"));
}

/* In a child: exit status 0 if it got the socket. Begins when `go` closes, holds it until `hold` closes. */
static _Noreturn void compete(const char *path, int go, int done, int hold)
{
    struct listener listener;
    struct strbuf why;
    char byte;
    int fd;

    listener_init(&listener);
    strbuf_init(&why);
    (void)!read(go, &byte, 1); /* all at once, when the pipe closes */
    bool won = listener_open(&listener, path, 0600, (gid_t)-1, &fd, &why) == STATUS_OK;

    (void)!write(done, won ? "w" : "l", 1);
    if (won) {
        (void)!read(hold, &byte, 1);
        listener_close(&listener);
    }
    strbuf_fini(&why);
    _exit(won ? 0 : 1);
}

static void test_of_many_that_start_at_once_one_wins(void **state)
{
    struct fixture *fixture = *state;
    enum { COMPETITORS = 12 };
    int go[2];
    int done[2];
    int hold[2];
    char byte;
    int winners = 0;

    (void)close(bind_other(fixture->path, true)); /* left over */
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    for (int i = 0; i < COMPETITORS; i++) {
        if (fork() == 0) {
            (void)close(go[1]);
            (void)close(hold[1]);
            compete(fixture->path, go[0], done[1], hold[0]);
        }
    }
    (void)close(go[1]);
    for (int i = 0; i < COMPETITORS; i++) {
        assert_int_equal(read(done[0], &byte, 1), 1);
        winners += byte == 'w';
    }
    (void)close(hold[1]);
    while (wait(NULL) > 0) {
    }
    assert_int_equal(winners, 1);
    (void)close(hold[0]);
    (void)close(go[0]);
    (void)close(done[0]);
    (void)close(done[1]);
}

/* ---- pid file ---- */

static void test_pid_file(void **state)
{
    struct fixture *fixture = *state;
    struct pid_file file = {.fd = -1};
    struct pid_file second = {.fd = -1};
    char text[32];
    FILE *stale = fopen(fixture->path, "we");

    assert_non_null(stale);
    (void)fputs("999999999 and more than one line\nof an old one\n", stale);
    (void)fclose(stale);
    assert_int_equal(pid_file_create(&file, fixture->path, &fixture->why), STATUS_OK);
    FILE *written = fopen(fixture->path, "re");

    assert_non_null(fgets(text, sizeof(text), written));
    assert_int_equal(atol(text), getpid());
    assert_null(fgets(text, sizeof(text), written));
    (void)fclose(written);
    assert_int_equal(pid_file_create(&second, fixture->path, &fixture->why), STATUS_INVALID);
    (void)snprintf(text, sizeof(text), "pid %ld", (long)getpid());
    assert_non_null(strstr(fixture->why.data, text));
    pid_file_remove(&file);
    assert_false(is_there(fixture->path));
    pid_file_remove(&file);
}

static void test_pid_file_follows_no_link(void **state)
{
    struct fixture *fixture = *state;
    struct pid_file file = {.fd = -1};
    char target[64];

    (void)snprintf(target, sizeof(target), "%s/target", fixture->folder);
    assert_int_equal(symlink(target, fixture->path), 0);
    assert_int_equal(pid_file_create(&file, fixture->path, &fixture->why), STATUS_INVALID);
    assert_false(is_there(target));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_opens_with_its_mode_and_closes_without_a_trace),
        TEST(test_left_over_socket_is_replaced),
        TEST(test_socket_that_answers_is_left_alone),
        TEST(test_socket_with_a_full_queue_is_left_alone),
        TEST(test_other_files_are_left_alone),
        TEST(test_lock_keeps_a_second_one_out),
        TEST(test_socket_of_a_successor_is_not_removed),
        TEST(test_bad_paths),
        TEST(test_of_many_that_start_at_once_one_wins),
        TEST(test_pid_file),
        TEST(test_pid_file_follows_no_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
