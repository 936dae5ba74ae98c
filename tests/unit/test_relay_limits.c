/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many entries a store has at most, and many changes at once. */
#include "tests/unit/relay_kit.h"

#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- limits ---- */

static void test_full(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    struct relay_store_stats stats;
    char text[64];

    kit->options.terms.max_entries = 2;
    kit->options.terms.window_minutes = 60;
    store = kit_open(kit);
    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)time(NULL));
    assert_int_equal(kit_login(kit, store, text), STATUS_OK);
    /* Beyond its window already. */
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000001"), STATUS_OK);
    (void)snprintf(text, sizeof(text), "192.0.2.3 %lld", (long long)time(NULL));
    assert_int_equal(kit_login(kit, store, text), STATUS_OK);
    text[8] = '4';
    assert_int_equal(kit_login(kit, store, text), STATUS_INVALID);
    assert_non_null(strstr(kit->why.data, "max_entries"));
    /* Who is there may come again. */
    text[8] = '3';
    text[strlen(text) - 1] = '0';
    assert_int_equal(kit_login(kit, store, text), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.entries, 2);
    assert_int_equal(stats.expired, 1);
    assert_int_equal(stats.refused, 1);
    assert_true(stats.usable);
    assert_non_null(strstr(stats.failure, "full"));
    relay_store_close(&store);

    /* A file that has more is read as it is. */
    kit->options.terms.max_entries = 1;
    kit->options.terms.window_minutes = 0;
    store = kit_open(kit);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.entries, 2);
    relay_store_close(&store);
}

struct results {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    size_t left;
    size_t granted;
    size_t refused;
};

static void note_result(struct relay_change *change, enum status status, const char *why,
                        size_t count)
{
    struct results *results = change->ctx;

    (void)why;
    (void)count;
    (void)pthread_mutex_lock(&results->mutex);
    results->granted += status == STATUS_OK;
    results->refused += status != STATUS_OK;
    if (--results->left == 0) {
        (void)pthread_cond_signal(&results->wake);
    }
    (void)pthread_mutex_unlock(&results->mutex);
}

/* Submits `count` logins as one list, of `addresses` different ones. */
static void submit_many(struct relay_store *store, struct results *results, size_t count,
                        unsigned addresses)
{
    struct relay_change *changes = xcalloc(count, sizeof(*changes));

    *results = (struct results){.left = count};
    (void)pthread_mutex_init(&results->mutex, NULL);
    (void)pthread_cond_init(&results->wake, NULL);
    for (size_t i = 0; i < count; i++) {
        unsigned number = (unsigned)i % addresses;

        changes[i] = (struct relay_change){
            .kind = RELAY_LOGIN,
            .entry = {.addr = {.family = NETADDR_IPV4,
                               .bits = 32,
                               .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                         (uint8_t)number}},
                      .login_at = KIT_NOW + (int64_t)i,
                      .user = "",
                      .service = ""},
            .done = note_result,
            .ctx = results,
            .next = i + 1 < count ? &changes[i + 1] : NULL,
        };
    }
    relay_store_submit(store, changes);
    (void)pthread_mutex_lock(&results->mutex);
    while (results->left > 0) {
        (void)pthread_cond_wait(&results->wake, &results->mutex);
    }
    (void)pthread_mutex_unlock(&results->mutex);
    free(changes);
}

static void test_many_share_a_sync(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    struct relay_store_stats stats;
    struct results results;

    kit->options.terms.max_entries = 100000;
    store = kit_open(kit);
    submit_many(store, &results, 20000, 20000);
    assert_int_equal(results.granted, 20000);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.entries, 20000);
    assert_true(stats.syncs <= 20000 / 500);
    relay_store_close(&store);
    store = kit_open(kit);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.entries, 20000);
    relay_store_close(&store);
}

/* What is added twice within a batch is one entry, also when there is room for just that many. */
static void test_full_to_the_last_place(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    struct relay_store_stats stats;
    struct results results;

    kit->options.terms.max_entries = 10;
    store = kit_open(kit);
    submit_many(store, &results, 500, 10);
    assert_int_equal(results.granted, 500);
    submit_many(store, &results, 500, 11);
    assert_int_equal(results.refused, 45);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.entries, 10);
    relay_store_close(&store);
}

int main(void)
{
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_full),
        KIT_TEST(test_many_share_a_sync),
        KIT_TEST(test_full_to_the_last_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
