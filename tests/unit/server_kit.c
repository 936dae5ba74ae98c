/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/server_kit.h"
#include "lib/base/strbuf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

int server_kit_open(struct server_kit *kit)
{
    struct strbuf why;
    int fd = -1;

    (void)snprintf(kit->folder, sizeof(kit->folder), "/tmp/postern-test-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    (void)snprintf(kit->path, sizeof(kit->path), "%s/sock", kit->folder);
    strbuf_init(&why);
    listener_init(&kit->listener);
    assert_int_equal(listener_open(&kit->listener, kit->path, 0660, (gid_t)-1, &fd, &why),
                     STATUS_OK);
    strbuf_fini(&why);
    return fd;
}

void server_kit_close(struct server_kit *kit)
{
    listener_close(&kit->listener);
    assert_int_equal(rmdir(kit->folder), 0);
}

int server_kit_dial(const struct server_kit *kit)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)memcpy(address.sun_path, kit->path, strlen(kit->path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

void server_kit_put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

size_t server_kit_get(int fd, char *out, size_t len)
{
    size_t have = 0;
    ssize_t got = 0;

    while (have < len && (got = recv(fd, out + have, len - have, 0)) > 0) {
        have += (size_t)got;
    }
    assert_true(got >= 0 || errno == ECONNRESET);
    out[have] = '\0';
    return have;
}

void server_kit_ask(const struct server_kit *kit, const char *request, const char *answer)
{
    char got[4096];
    int fd = server_kit_dial(kit);

    server_kit_put(fd, request);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    (void)server_kit_get(fd, got, sizeof(got) - 1);
    assert_string_equal(got, answer);
    (void)close(fd);
}

void server_kit_expect_end(int fd)
{
    char rest[4096];
    ssize_t got;

    while ((got = recv(fd, rest, sizeof(rest), 0)) > 0) {
    }
    assert_true(got == 0 || errno == ECONNRESET);
}

int64_t server_kit_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
