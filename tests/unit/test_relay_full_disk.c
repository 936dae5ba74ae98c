/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a store does when the disk is full, and when its files go away while it is open. */
#include "tests/unit/relay_kit.h"

#include "lib/base/xalloc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 3000u

static void add_one(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000000"), STATUS_OK);
}

static void add_some(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000000"), STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.3 1700000000"), STATUS_OK);
}

/* ---- no room ---- */

/* Files cannot grow beyond the limit, as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void unlimit_files(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The lines of the journal, without the zeros behind them. */
static rlim_t journal_bytes(const struct kit *kit)
{
    size_t len;
    char *data = kit_read(kit->journal, &len);
    rlim_t bytes = strlen(data);

    free(data);
    return bytes;
}

static void test_disk_full(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_store_stats stats;
    struct netaddr refused = kit_address("192.0.2.2");
    struct stat journal;

    add_one(kit, store);
    assert_int_equal(stat(kit->journal, &journal), 0);
    limit_files(journal_bytes(kit) + 10);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->why.data, "the journal cannot be written: File too large"));
    /* Nothing that is not on the disk is in force. */
    assert_int_equal(relay_store_find(store, &refused, KIT_NOW, NULL), STATUS_NOTFOUND);
    relay_store_stats(store, &stats);
    assert_non_null(strstr(stats.failure, "cannot be written"));
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stat(kit->journal, &journal), 0);

    /* Nor is there room for a snapshot: the journal stays. */
    relay_store_close(&store);
    unlimit_files();
    assert_true(kit_exists(kit->journal));
    assert_int_equal(kit_files(kit, ".new"), 0);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n");
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    relay_store_close(&store);
}

/* As soon as there is room again, all goes on by itself. */
static void test_disk_full_for_a_while(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_store_stats stats;

    add_one(kit, store);
    limit_files(20);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_TEMPFAIL);
    unlimit_files();
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    relay_store_stats(store, &stats);
    assert_string_equal(stats.failure, "");
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n192.0.2.2 1700000000\n");
    relay_store_close(&store);
}

/* A replacement that does not fit leaves all as it was, also after a crash. */
static void replace_too_much(struct kit *kit, struct relay_store *store)
{
    struct relay_entry *entries = xcalloc(MANY, sizeof(*entries));

    add_one(kit, store);
    for (unsigned i = 0; i < MANY; i++) {
        entries[i] = (struct relay_entry){
            .addr = kit_address("10.0.0.0"), .user = "", .service = ""};
        entries[i].addr.bytes[2] = (uint8_t)(i >> 8);
        entries[i].addr.bytes[3] = (uint8_t)i;
    }
    struct relay_change change = {.kind = RELAY_REPLACE, .entries = entries, .entry_count = MANY};

    relay_store_configure(
        store,
        &(struct relay_terms){.window_minutes = 0, .max_entries = MANY, .ipv6_prefix_bits = 64});
    limit_files(30000);
    assert_int_equal(relay_store_apply(store, &change, &kit->why, NULL), STATUS_TEMPFAIL);
    unlimit_files();
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    free(entries);
}

static void test_disk_full_in_a_replacement(void **state)
{
    struct kit *kit = *state;

    kit_crash(kit, replace_too_much);

    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n192.0.2.2 1700000000\n");
    relay_store_close(&store);
}

/* ---- files that go away while the store is open ---- */

static void test_files_are_removed(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);

    add_some(kit, store);
    assert_int_equal(unlink(kit->journal), 0);
    assert_int_equal(kit_login(kit, store, "192.0.2.4 1700000000"), STATUS_OK);
    assert_true(kit_exists(kit->journal));
    assert_true(kit_exists(kit->file));
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store),
                        "192.0.2.1 1700000000\n192.0.2.2 1700000000\n192.0.2.3 1700000000\n"
                        "192.0.2.4 1700000000\n");
    relay_store_close(&store);
}

static void test_folder_is_moved(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    char moved[KIT_PATH_SIZE + 8];

    add_one(kit, store);
    (void)snprintf(moved, sizeof(moved), "%s.moved", kit->folder);
    assert_int_equal(rename(kit->folder, moved), 0);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->why.data, "folder"));
    assert_int_equal(rename(moved, kit->folder), 0);
    (void)sleep(6);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n192.0.2.2 1700000000\n");
    relay_store_close(&store);
}

int main(void)
{
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_disk_full),
        KIT_TEST(test_disk_full_for_a_while),
        KIT_TEST(test_disk_full_in_a_replacement),
        KIT_TEST(test_files_are_removed),
        KIT_TEST(test_folder_is_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
