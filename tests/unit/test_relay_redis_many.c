/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many entries, and many who ask, in a real Redis or Valkey; skipped where there is none. */
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MANY 2500

/* ---- many entries ---- */

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; (text = strchr(text, '\n')) != NULL; text++) {
        count++;
    }
    return count;
}

static void test_replace_expire_and_walk_many(void **state)
{
    static struct relay_entry entries[MANY];
    struct redis_kit *kit = *state;
    size_t count;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.max_entries = MANY;
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    redis_kit_fill(entries, MANY, 0, 1000);
    for (size_t i = 0; i < MANY / 2; i++) {
        entries[i].login_at = 2000;
    }
    assert_int_equal(redis_kit_replace(kit, store, entries, MANY), STATUS_OK);
    assert_int_equal(redis_kit_entries(store), MANY);
    assert_int_equal(count_lines(kit_store_text(&kit->kit, store)), MANY);
    assert_int_equal(redis_kit_find(store, "192.0.2.1", KIT_NOW), STATUS_NOTFOUND);
    assert_int_equal(redis_kit_find(store, "10.0.0.77", KIT_NOW), STATUS_OK);
    /* Nothing is left of the generation before, and of this one nothing is left after it. */
    assert_string_equal(redis_kit_ask(kit, "EXISTS t:relay:192.0.2.1 t:relay-index"), ":0\r\n");
    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL),
                     STATUS_INVALID);
    assert_non_null(strstr(kit->kit.why.data, "full"));

    int64_t minutes = (time(NULL) - 1500) / 60;
    struct relay_change expire = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .minutes = (unsigned)minutes};

    assert_int_equal(relay_store_apply(store, &expire, NULL, &count), STATUS_OK);
    assert_int_equal(count, MANY - MANY / 2);
    assert_int_equal(redis_kit_entries(store), MANY / 2);
    struct relay_change all = {
        .kind = RELAY_EXPIRE, .entry = {.user = "", .service = ""}, .all = true};

    assert_int_equal(relay_store_apply(store, &all, NULL, &count), STATUS_OK);
    assert_int_equal(count, MANY / 2);
    assert_int_equal(redis_kit_entries(store), 0);
    assert_string_equal(kit_store_text(&kit->kit, store), "");
    assert_string_equal(redis_kit_ask(kit, "KEYS t:relay.*"), "*0\r\n");
    relay_store_close(&store);
}

struct watcher {
    struct relay_store *store;
    atomic_bool stop;
    atomic_uint half;
    atomic_uint asked;
};

/* Of two addresses either both have an entry of the first list, or both one of the second. */
static void *watch(void *arg)
{
    struct watcher *watcher = arg;

    while (!atomic_load(&watcher->stop)) {
        struct relay_found found;
        struct netaddr last = kit_address("10.0.7.207"); /* 1999 */

        if (relay_store_find(watcher->store, &last, KIT_NOW, &found) != STATUS_OK) {
            (void)atomic_fetch_add(&watcher->half, 1);
        }
        (void)atomic_fetch_add(&watcher->asked, 1);
    }
    return NULL;
}

static void test_replace_shows_nobody_a_part(void **state)
{
    static struct relay_entry entries[2000];
    struct redis_kit *kit = *state;
    struct watcher watcher = {.store = NULL};
    pthread_t thread;

    redis_kit_start(kit, NULL);
    kit->kit.options.terms.max_entries = 2000;
    struct relay_store *store = redis_kit_open(kit);
    struct relay_store *other = redis_kit_open(kit);

    watcher.store = other;
    redis_kit_fill(entries, 2000, 0, 1000);
    assert_int_equal(redis_kit_replace(kit, store, entries, 2000), STATUS_OK);
    assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(redis_kit_replace(kit, store, entries, 2000), STATUS_OK);
    }
    atomic_store(&watcher.stop, true);
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&watcher.half), 0);
    assert_true(atomic_load(&watcher.asked) > 20);
    relay_store_close(&other);
    relay_store_close(&store);
}

static void test_replacement_that_is_not_sound_changes_nothing(void **state)
{
    static struct relay_entry entries[1001];
    struct redis_kit *kit = *state;

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    redis_kit_fill(entries, 1001, 0, 1000);
    assert_int_equal(redis_kit_replace(kit, store, entries, 1001), STATUS_INVALID);
    entries[3].addr.bits = 24;
    assert_int_equal(redis_kit_replace(kit, store, entries, 10), STATUS_INVALID);
    assert_string_equal(kit_store_text(&kit->kit, store), "192.0.2.1 1000\n");
    relay_store_close(&store);
}

/* ---- many threads ---- */

static void *ask_often(void *arg)
{
    const struct relay_store *store = arg;
    uintptr_t wrong = 0;

    for (int i = 0; i < 500; i++) {
        wrong += redis_kit_find(store, i % 2 == 0 ? "192.0.2.1" : "192.0.2.2", KIT_NOW) ==
                         (i % 2 == 0 ? STATUS_OK : STATUS_NOTFOUND)
                     ? 0
                     : 1;
    }
    return (void *)wrong;
}

static void test_many_threads_get_their_own_answers(void **state)
{
    struct redis_kit *kit = *state;
    pthread_t threads[24];

    redis_kit_start(kit, NULL);
    struct relay_store *store = redis_kit_open(kit);

    assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.1 1000", NULL), STATUS_OK);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, store), 0);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(redis_kit_apply(kit, store, RELAY_ADD, "192.0.2.3 1000", NULL), STATUS_OK);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *wrong = NULL;

        (void)pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    relay_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replace_expire_and_walk_many, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_replace_shows_nobody_a_part, redis_kit_setup,
                                        redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_replacement_that_is_not_sound_changes_nothing,
                                        redis_kit_setup, redis_kit_teardown),
        cmocka_unit_test_setup_teardown(test_many_threads_get_their_own_answers, redis_kit_setup,
                                        redis_kit_teardown),
    };

    return cmocka_run_group_tests_name("relay_redis_many", tests, NULL, NULL);
}
