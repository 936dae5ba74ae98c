/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/nudge.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Connections that come to the socket within some milliseconds, `enough` at most. */
static unsigned count_connections(int fd, int ms, unsigned enough)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    unsigned count = 0;
    char byte;

    while (count < enough && poll(&polled, 1, ms) == 1) {
        int connection = accept(fd, NULL, NULL);

        assert_true(connection >= 0);
        assert_int_equal(read(connection, &byte, 1), 0); /* it is closed at once */
        (void)close(connection);
        count++;
    }
    return count;
}

static void check(const char *listen, int fd)
{
    struct nudge *nudge = nudge_start(listen);

    assert_non_null(nudge);
    assert_int_equal(count_connections(fd, 100, 1), 0);
    unsigned ticket = nudge_begin(nudge);
    assert_int_equal(count_connections(fd, 5000, 3), 3);
    nudge_end(nudge, nudge_begin(nudge));
    assert_int_equal(count_connections(fd, 5000, 3), 3);
    nudge_end(nudge, ticket);
    (void)count_connections(fd, 100, 1000); /* those that were on their way */
    assert_int_equal(count_connections(fd, 100, 1), 0);
    ticket = nudge_begin(nudge); /* and once more */
    assert_int_equal(count_connections(fd, 5000, 3), 3);
    nudge_end(nudge, ticket);
    (void)count_connections(fd, 100, 1000);
    for (unsigned i = 0; i < 1000; i++) { /* short waits are none */
        nudge_end(nudge, nudge_begin(nudge));
    }
    assert_int_equal(count_connections(fd, 100, 1), 0);
}

static void test_nudge_connects_while_somebody_waits(void **state)
{
    char folder[] = "/tmp/nudge-XXXXXX";
    char listen_on[64];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", folder);
    (void)snprintf(listen_on, sizeof(listen_on), "unix:%s/s", folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 64), 0);
    check(listen_on, fd);
    (void)close(fd);
    (void)unlink(addr.sun_path);
    (void)rmdir(folder);
}

static void test_nudge_connects_over_tcp(void **state)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t size = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char listen_on[64];

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, size), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    (void)snprintf(listen_on, sizeof(listen_on), "inet:%u@127.0.0.1", ntohs(addr.sin_port));
    check(listen_on, fd);
    (void)snprintf(listen_on, sizeof(listen_on), "inet:%u", ntohs(addr.sin_port));
    check(listen_on, fd);
    (void)close(fd);
}

static void test_nudge_does_without(void **state)
{
    (void)state;
    assert_null(nudge_start("inet:25@no host at all"));
    assert_null(nudge_start("fax:1"));
    nudge_end(NULL, nudge_begin(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nudge_connects_while_somebody_waits),
        cmocka_unit_test(test_nudge_connects_over_tcp),
        cmocka_unit_test(test_nudge_does_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
