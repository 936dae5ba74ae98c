/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who comes when all places of a server are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/xalloc.h"
#include "milter/server.h"
#include "tests/unit/server_kit.h"

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACES 20u
#define LATE 3u
#define WAIT_MS 300 /* longer than nobody is dropped */

struct fixture {
    struct eventloop *loop;
    struct server *server;
    struct server_kit kit;
    struct server_answer *promises[PLACES];
    atomic_uint promised;
};

/* "promise" is answered when the test likes, anything else at once. */
static size_t take_line(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct fixture *fixture = owner;
    const char *end = memchr(data, '\n', len);
    unsigned promised = atomic_load(&fixture->promised);

    if (end == NULL) {
        return SERVER_INCOMPLETE;
    }
    size_t line_len = (size_t)(end - data) + 1;

    if (*data == 'p' && promised < PLACES) {
        fixture->promises[promised] = server_promise(client);
        atomic_store(&fixture->promised, promised + 1);
    } else {
        server_reply(client, data, line_len);
    }
    return line_len;
}

static const struct server_protocol lines = {
    .name = "lines",
    .max_request = 64,
    .max_clients = PLACES,
    .max_unanswered = 4,
    .request_ms = 60000,
    .request = take_line,
};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

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
    eventloop_free(&fixture->loop);
    server_kit_close(&fixture->kit);
    free(fixture);
    return 0;
}

static void expect(int fd, const char *text)
{
    char got[64] = "";

    for (size_t len = 0; len < strlen(text);) {
        ssize_t now = read(fd, got + len, strlen(text) - len);

        assert_true(now > 0);
        len += (size_t)now;
    }
    assert_string_equal(got, text);
}

/* All places are taken by clients that wait for their answers. */
static void fill(struct fixture *fixture, int fds[PLACES])
{
    for (unsigned i = 0; i < PLACES; i++) {
        fds[i] = server_kit_dial(&fixture->kit);
        server_kit_put(fds[i], "promise\n");
        while (atomic_load(&fixture->promised) == i) {
            (void)poll(NULL, 0, 1);
        }
    }
}

static void keep_all(struct fixture *fixture, const int fds[PLACES], unsigned first)
{
    for (unsigned i = first; i < PLACES; i++) {
        server_keep(fixture->promises[i], "kept\n", 5);
        expect(fds[i], "kept\n");
    }
    for (unsigned i = 0; i < PLACES; i++) {
        (void)close(fds[i]);
    }
}

/* Nobody is turned away, and who waits for an answer has it. */
static void test_who_finds_no_place_waits_for_one(void **state)
{
    struct fixture *fixture = *state;
    int fds[PLACES];
    int late[LATE];

    fill(fixture, fds);
    for (unsigned i = 0; i < LATE; i++) {
        late[i] = server_kit_dial(&fixture->kit);
        server_kit_put(late[i], "here\n");
    }
    (void)poll(NULL, 0, WAIT_MS);
    assert_int_equal(server_clients(fixture->server), PLACES);
    server_keep(fixture->promises[0], "kept\n", 5);
    for (unsigned i = 0; i < LATE; i++) {
        expect(late[i], "here\n");
        (void)close(late[i]);
    }
    keep_all(fixture, fds, 1);
}

static void hold(void *owner)
{
    sem_t *go = owner;

    while (sem_wait(go) != 0) {
    }
}

/* Of those that come together, none is dropped for the next one before what it says was read. */
static void test_who_has_just_come_stays(void **state)
{
    struct fixture *fixture = *state;
    int fds[PLACES];
    int late[LATE];
    sem_t go;
    struct eventloop_task pause = {.run = hold, .owner = &go};

    fill(fixture, fds);
    server_keep(fixture->promises[0], "kept\n", 5);
    expect(fds[0], "kept\n");
    (void)close(fds[0]);
    assert_int_equal(sem_init(&go, 0, 0), 0);
    eventloop_post(fixture->loop, &pause);
    fds[0] = server_kit_dial(&fixture->kit);
    server_kit_put(fds[0], "first\n");
    for (unsigned i = 0; i < LATE; i++) {
        late[i] = server_kit_dial(&fixture->kit);
        server_kit_put(late[i], "here\n");
    }
    assert_int_equal(sem_post(&go), 0);
    expect(fds[0], "first\n");
    for (unsigned i = 0; i < LATE; i++) {
        expect(late[i], "here\n");
        (void)close(late[i]);
    }
    keep_all(fixture, fds, 1);
    (void)sem_destroy(&go);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_finds_no_place_waits_for_one),
        TEST(test_who_has_just_come_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
