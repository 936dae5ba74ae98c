/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/relay_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct relay_index *index, const char *text, bool younger_only)
{
    struct strbuf texts;

    strbuf_init(&texts);
    struct relay_entry entry = kit_entry(text, &texts);

    relay_index_put(index, &entry, younger_only);
    strbuf_fini(&texts);
}

static void stage(struct relay_index *index, const char *text)
{
    struct strbuf texts;

    strbuf_init(&texts);
    struct relay_entry entry = kit_entry(text, &texts);

    relay_index_stage(index, &entry);
    strbuf_fini(&texts);
}

static bool find(const struct relay_index *index, const char *client, int64_t now, unsigned window,
                 struct relay_found *found_out)
{
    struct netaddr addr = kit_address(client);

    return relay_index_find(index, &addr, now, window, found_out);
}

static void test_put_and_find(void **state)
{
    struct kit *kit = *state;
    struct relay_index *index = relay_index_new();
    struct relay_found found;

    put(index, "192.0.2.1 1700000000 user=ann service=imap", true);
    assert_true(find(index, "192.0.2.1", KIT_NOW, 1, &found));
    assert_string_equal(found.user, "ann");
    assert_string_equal(found.service, "imap");
    assert_int_equal(found.login_at, KIT_NOW);
    assert_false(find(index, "192.0.2.2", KIT_NOW, 1, &found));
    assert_false(find(index, "192.0.2.1", KIT_NOW + 60, 1, &found));

    put(index, "192.0.2.1 1699999999 user=bob", true);
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 1700000000 user=ann service=imap\n");
    put(index, "192.0.2.1 1700000000 user=bob", true);
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 1700000000 user=bob\n");
    put(index, "192.0.2.1 5", false);
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 5\n");

    struct netaddr addr = kit_address("192.0.2.1");

    assert_true(relay_index_remove(index, &addr));
    assert_false(relay_index_remove(index, &addr));
    assert_int_equal(relay_index_count(index), 0);
    relay_index_free(&index);
    assert_null(index);
    relay_index_free(&index);
}

/* The longest prefix that permits, not just the longest one. */
static void test_prefixes(void **state)
{
    struct relay_index *index = relay_index_new();
    struct relay_found found;

    (void)state;
    put(index, "2001:db8::/48 1700000000 user=site", false);
    put(index, "2001:db8:0:1::/64 1699990000 user=net", false);
    put(index, "2001:db8:0:1::5 1700000000 user=host", false);
    assert_true(find(index, "2001:db8:0:1::5", KIT_NOW, 60, &found));
    assert_string_equal(found.user, "host");
    assert_int_equal(found.addr.bits, 128);
    assert_true(find(index, "2001:db8:0:1::6", KIT_NOW, 60, &found));
    assert_string_equal(found.user, "site");
    assert_true(find(index, "2001:db8:0:1::6", KIT_NOW, 0, &found));
    assert_string_equal(found.user, "net");
    assert_int_equal(found.addr.bits, 64);
    assert_true(find(index, "2001:db8:0:ffff::", KIT_NOW, 60, NULL));
    assert_false(find(index, "2001:db8:1::", KIT_NOW, 60, NULL));

    struct netaddr none = {.family = NETADDR_NONE};

    assert_false(relay_index_find(index, &none, KIT_NOW, 0, NULL));
    relay_index_free(&index);
}

static void test_expire(void **state)
{
    struct kit *kit = *state;
    struct relay_index *index = relay_index_new();

    put(index, "192.0.2.1 100", false);
    put(index, "192.0.2.2 101 user=ann", false);
    put(index, "2001:db8::/64 99", false);
    assert_int_equal(relay_index_count_until(index, 98), 0);
    assert_int_equal(relay_index_count_until(index, 100), 2);
    assert_int_equal(relay_index_expire(index, 100), 2);
    assert_string_equal(kit_index_text(kit, index), "192.0.2.2 101 user=ann\n");
    assert_false(find(index, "2001:db8::1", 100, 0, NULL));
    assert_int_equal(relay_index_expire(index, INT64_MAX), 1);
    assert_string_equal(kit_index_text(kit, index), "");
    relay_index_free(&index);
}

static void test_replacement(void **state)
{
    struct kit *kit = *state;
    struct relay_index *index = relay_index_new();

    put(index, "192.0.2.1 100", false);
    put(index, "2001:db8::/64 100", false);
    stage(index, "192.0.2.9 7");
    assert_string_equal(kit_index_text(kit, index), "192.0.2.1 100\n2001:db8::/64 100\n");
    relay_index_unstage(index);
    stage(index, "192.0.2.3 7 user=ann");
    stage(index, "2001:db8:0:7::/64 100");
    put(index, "192.0.2.2 100", false);
    assert_int_equal(relay_index_swap(index), 2);
    assert_string_equal(kit_index_text(kit, index),
                        "192.0.2.3 7 user=ann\n2001:db8:0:7::/64 100\n");
    assert_false(find(index, "2001:db8::1", 100, 0, NULL));
    assert_int_equal(relay_index_swap(index), 0);
    assert_string_equal(kit_index_text(kit, index), "");
    relay_index_free(&index);
}

/* ---- against a plain array ---- */

#define MODEL_ADDRESSES 20000u

static struct netaddr model_address(unsigned number)
{
    char text[64];

    if (number % 3 == 0) {
        (void)snprintf(text, sizeof(text), "2001:db8:0:%x::/64", number);
    } else {
        (void)snprintf(text, sizeof(text), "10.0.%u.%u", number / 256, number % 256);
    }
    return kit_address(text);
}

static void assert_like_model(const struct relay_index *index, const int64_t *model)
{
    size_t count = 0;

    for (unsigned i = 0; i < MODEL_ADDRESSES; i++) {
        struct netaddr addr = model_address(i);
        struct relay_found found;
        bool there = relay_index_get(index, &addr, &found);

        assert_int_equal(there, model[i] != 0);
        if (there) {
            assert_int_equal(found.login_at, model[i]);
            count++;
        }
    }
    assert_int_equal(relay_index_count(index), count);
}

static void test_random_changes(void **state)
{
    static int64_t model[MODEL_ADDRESSES];
    struct relay_index *index = relay_index_new();
    unsigned seed = 7;

    (void)state;
    for (unsigned step = 0; step < 300000; step++) {
        unsigned number = (unsigned)rand_r(&seed) % MODEL_ADDRESSES;
        int64_t login_at = rand_r(&seed) % 1000 + 1;
        struct relay_entry entry = {.addr = model_address(number),
                                    .login_at = login_at,
                                    .user = number % 2 == 0 ? "someone" : "",
                                    .service = ""};

        switch ((unsigned)rand_r(&seed) % 8) {
        case 0:
        case 1:
            assert_int_equal(relay_index_remove(index, &entry.addr), model[number] != 0);
            model[number] = 0;
            break;
        case 2:
            relay_index_put(index, &entry, false);
            model[number] = login_at;
            break;
        default:
            relay_index_put(index, &entry, true);
            model[number] = login_at > model[number] ? login_at : model[number];
        }
        if (step % 50000 == 49999) {
            size_t removed = 0;

            for (unsigned i = 0; i < MODEL_ADDRESSES; i++) {
                removed += model[i] != 0 && model[i] <= 300;
                model[i] = model[i] <= 300 ? 0 : model[i];
            }
            assert_int_equal(relay_index_expire(index, 300), removed);
            assert_like_model(index, model);
        }
    }
    assert_like_model(index, model);
    relay_index_free(&index);
}

/* ---- many threads ---- */

struct readers {
    struct relay_index *index;
    atomic_bool stop;
    atomic_ulong wrong;
};

/* 2001:db8:0:1::1 may relay at any time: by its /64 or by its /56. */
static void *ask(void *arg)
{
    struct readers *readers = arg;

    while (!atomic_load(&readers->stop)) {
        if (!find(readers->index, "2001:db8:0:1::1", KIT_NOW, 0, NULL) ||
            !find(readers->index, "192.0.2.1", KIT_NOW, 0, NULL)) {
            (void)atomic_fetch_add(&readers->wrong, 1);
        }
    }
    return NULL;
}

static void note_steady(void *ctx, const struct relay_entry *entry)
{
    char key[RELAY_KEY_SIZE];

    if (strcmp(relay_entry_key(&entry->addr, key), "192.0.2.1") == 0) {
        (*(unsigned *)ctx)++;
    }
}

/* 192.0.2.1 is visited once in each walk. */
static void *walk(void *arg)
{
    struct readers *readers = arg;

    while (!atomic_load(&readers->stop)) {
        size_t cursor = 0;
        unsigned seen = 0;

        while (relay_index_walk(readers->index, &cursor, note_steady, &seen)) {
        }
        if (seen != 1) {
            (void)atomic_fetch_add(&readers->wrong, 1);
        }
    }
    return NULL;
}

static void test_threads_see_all_old_or_all_new(void **state)
{
    struct readers readers = {.index = relay_index_new()};
    pthread_t threads[3];

    (void)state;
    put(readers.index, "192.0.2.1 100 user=ann", false);
    put(readers.index, "2001:db8::/56 100", false);
    assert_int_equal(pthread_create(&threads[0], NULL, ask, &readers), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, ask, &readers), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, walk, &readers), 0);
    for (unsigned round = 0; round < 300; round++) {
        stage(readers.index, "192.0.2.1 100 user=bob");
        stage(readers.index, round % 2 == 0 ? "2001:db8:0:1::/64 100" : "2001:db8::/56 100");
        (void)relay_index_swap(readers.index);
        for (unsigned i = 0; i < 200; i++) {
            struct relay_entry entry = {
                .addr = model_address(i), .login_at = 50, .user = "x", .service = ""};

            relay_index_put(readers.index, &entry, true);
        }
        put(readers.index, "192.0.2.1 101 user=ann", false);
        (void)relay_index_expire(readers.index, 60);
    }
    atomic_store(&readers.stop, true);
    for (unsigned i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&readers.wrong), 0);
    relay_index_free(&readers.index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_find, kit_setup, kit_teardown),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test_setup_teardown(test_expire, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_replacement, kit_setup, kit_teardown),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_threads_see_all_old_or_all_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
