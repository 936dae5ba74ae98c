/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A real Redis or Valkey that goes, comes, and has no room; skipped where there is none. */
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- a server that goes and comes ---- */

static void test_loss_answers_no_at_once_and_heals_itself(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store_stats stats;
    struct timespec begun;
    struct timespec ended;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    redis_kit_kill(kit);
    redis_kit_await(store, false);
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(ended.tv_sec - begun.tv_sec < 3);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL),
                     STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->kit.why.data, kit->url));
    relay_store_stats(store, &stats);
    assert_non_null(strstr(stats.failure, kit->url));
    size_t cursor = 0;

    assert_false(relay_store_walk(store, &cursor, NULL, NULL));
    assert_true(cursor == RELAY_WALK_FAILED);
    redis_kit_start(kit, NULL);
    redis_kit_await(store, true);
    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW),
                     STATUS_NOTFOUND); /* it kept nothing */
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_OK);
    assert_int_equal(redis_kit_find(store, "192.0.2.2", KIT_NOW), STATUS_OK);
    relay_store_close(&store);
}

static void test_daemon_starts_without_the_server(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL),
                     STATUS_TEMPFAIL);
    relay_store_close(&store);
    kit->kit.options.wait = false;
    kit_assert_cannot_open(&kit->kit, kit->url);
}

/* ---- memory and disk of the server ---- */

/* A server that has no memory for changes still answers questions. */
static void test_full_server_refuses_changes_and_answers_questions(void **state)
{
    struct redis_kit *kit = *state;
    struct relay_store_stats stats;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    assert_string_equal(redis_kit_ask(kit, "CONFIG SET maxmemory 1"), "+OK\r\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL),
                     STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->kit.why.data, "OOM"));
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_true(stats.usable);
    assert_non_null(strstr(stats.failure, "OOM"));
    assert_string_equal(redis_kit_ask(kit, "CONFIG SET maxmemory 0"), "+OK\r\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.2 1000", NULL), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loss_answers_no_at_once_and_heals_itself,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_daemon_starts_without_the_server, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_full_server_refuses_changes_and_answers_questions,
                                        redis_kit_setup, redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_loss", tests, NULL, NULL);
}
