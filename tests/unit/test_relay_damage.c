/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a store does when its files are damaged, or not what they should be. */
#include "tests/unit/relay_kit.h"

#include "lib/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 3000u

static void many_name(unsigned number, char *text, size_t size)
{
    (void)snprintf(text, size, "10.1.%u.%u %u user=user%u service=imap", number / 256, number % 256,
                   1700000000u + number, number);
}

/* A store of MANY entries. */
static void fill(struct kit *kit)
{
    struct strbuf *texts = xcalloc(MANY, sizeof(*texts));
    struct relay_entry *entries = xcalloc(MANY, sizeof(*entries));

    kit->options.terms.max_entries = 2 * MANY;
    for (unsigned i = 0; i < MANY; i++) {
        char text[96];

        many_name(i, text, sizeof(text));
        strbuf_init(&texts[i]);
        entries[i] = kit_entry(text, &texts[i]);
    }
    struct relay_store *store = kit_open(kit);
    struct relay_change change = {.kind = RELAY_REPLACE, .entries = entries, .entry_count = MANY};

    assert_int_equal(relay_store_apply(store, &change, &kit->why, NULL), STATUS_OK);
    relay_store_close(&store);
    for (unsigned i = 0; i < MANY; i++) {
        strbuf_fini(&texts[i]);
    }
    free(texts);
    free(entries);
}

/* Opens, closes, and opens again; what is there both times. No entry may be another one than it was. */
static size_t open_twice(struct kit *kit)
{
    struct relay_store_stats stats;
    struct relay_store *store = kit_open(kit);
    size_t count;

    relay_store_stats(store, &stats);
    count = stats.entries;
    assert_true(stats.usable);
    assert_int_equal(kit_login(kit, store, "192.0.2.77 1700000000"), STATUS_OK);
    relay_store_close(&store);
    store = kit_open(kit);
    relay_store_stats(store, &stats);
    assert_int_equal(stats.entries, count + 1);
    assert_int_equal(kit_remove(kit, store, "192.0.2.77"), STATUS_OK);
    relay_store_close(&store);
    return count;
}

/* ---- damaged snapshots ---- */

static void test_truncated_file(void **state)
{
    struct kit *kit = *state;
    size_t len;

    fill(kit);
    char *data = kit_read(kit->file, &len);

    for (unsigned part = 0; part < 8; part++) {
        size_t cut = len * part / 8 + (part % 2) * 100;
        size_t aside = kit_files(kit, ".damaged-");

        kit_write(kit->file, data, cut);
        size_t count = open_twice(kit);

        assert_true(count <= MANY);
        /* The damaged one is kept, as it was. */
        assert_int_equal(kit_files(kit, ".damaged-"), aside + 1);
        assert_int_equal(kit_files(kit, ".repair"), 0);
        if (part == 7) {
            /* Most of it is still there: that is what the repair is for. */
            assert_true(count > MANY / 2);
        }
    }
    free(data);
}

static void test_garbled_file(void **state)
{
    struct kit *kit = *state;
    unsigned seed = 5;
    size_t len;

    fill(kit);
    char *data = kit_read(kit->file, &len);
    char *garbled = xmalloc(len);

    for (unsigned round = 0; round < 40; round++) {
        memcpy(garbled, data, len);
        for (unsigned i = 0; i < 1u << round % 8; i++) {
            size_t at = (size_t)rand_r(&seed) % len;

            if (round % 2 == 0) {
                garbled[at] = (char)rand_r(&seed);
            } else {
                memset(garbled + at, (int)(rand_r(&seed) % 3 * 127),
                       len - at < 512 ? len - at : 512);
            }
        }
        kit_write(kit->file, garbled, len);
        assert_true(open_twice(kit) <= MANY);
    }
    free(garbled);
    free(data);
}

#define DIRECTORY_AT 4096u /* in a new GDBM file with blocks of that size */

/* A directory that leads back to a bucket that was there before: its keys follow each other without end. */
static void test_records_in_a_circle(void **state)
{
    struct kit *kit = *state;
    size_t len;

    fill(kit);
    char *data = kit_read(kit->file, &len);
    char *garbled = xmalloc(len);

    (void)alarm(120);
    for (unsigned from = 0; from < 512; from += 37) {
        memcpy(garbled, data, len);
        memcpy(garbled + DIRECTORY_AT + (size_t)(511 - from) * 8,
               data + DIRECTORY_AT + (size_t)from * 8, 8);
        kit_write(kit->file, garbled, len);
        assert_true(open_twice(kit) <= MANY);
    }
    (void)alarm(0);
    free(garbled);
    free(data);
}

static void test_file_that_is_none(void **state)
{
    struct kit *kit = *state;
    const char text[] = "192.0.2.1 5\n";

    kit_write(kit->file, text, sizeof(text) - 1);
    assert_int_equal(open_twice(kit), 0);
    assert_int_equal(kit_files(kit, ".damaged-"), 1);
    kit_write(kit->file, "", 0);
    assert_int_equal(open_twice(kit), 0);
    assert_int_equal(kit_files(kit, ".damaged-"), 2);
}

static void add_one(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000000"), STATUS_OK);
}

/* What was acknowledged since the last snapshot does not depend on it. */
static void test_journal_survives_a_damaged_file(void **state)
{
    struct kit *kit = *state;

    fill(kit);
    kit_crash(kit, add_one);
    kit_write(kit->file, "garbage", 7);

    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n");
    relay_store_close(&store);
}

static void add_some(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000000"), STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.3 1700000000"), STATUS_OK);
}

static void test_damaged_journal(void **state)
{
    struct kit *kit = *state;
    size_t len;

    kit_crash(kit, add_some);
    char *data = kit_read(kit->journal, &len);

    data[strlen(data) / 2] = '\xff';
    kit_write(kit->journal, data, len);
    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n192.0.2.3 1700000000\n");
    relay_store_close(&store);
    assert_int_equal(kit_files(kit, ".journal.damaged-"), 1);
    free(data);
}

/* ---- crashes at bad moments ---- */

/* Between the renaming of a snapshot and the end of its journal; and while one is being written. */
static void test_left_overs(void **state)
{
    struct kit *kit = *state;
    char path[KIT_PATH_SIZE + 16];
    size_t len;

    kit_crash(kit, add_some);
    char *data = kit_read(kit->journal, &len);
    struct relay_store *store = kit_open(kit);

    assert_int_equal(kit_remove(kit, store, "192.0.2.2"), STATUS_OK);
    relay_store_close(&store);
    (void)snprintf(path, sizeof(path), "%s.old", kit->journal);
    kit_write(path, data, strlen(data) / 3);
    (void)snprintf(path, sizeof(path), "%s.new", kit->journal);
    kit_write(path, "", 0);
    (void)snprintf(path, sizeof(path), "%s.new", kit->file);
    kit_write(path, "half a snapshot", 15);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n192.0.2.3 1700000000\n");
    relay_store_close(&store);
    assert_int_equal(kit_files(kit, ".journal"), 0);
    assert_int_equal(kit_files(kit, ".new"), 0);
    free(data);
}

/* ---- files that are not what they should be ---- */

static void test_not_a_file(void **state)
{
    struct kit *kit = *state;
    char other[KIT_PATH_SIZE + 8];
    char lock[KIT_PATH_SIZE + 8];

    (void)snprintf(other, sizeof(other), "%s/other", kit->folder);
    (void)snprintf(lock, sizeof(lock), "%s.lock", kit->file);
    kit_write(other, "precious", 8);
    assert_int_equal(symlink(other, kit->file), 0);
    kit_assert_cannot_open(kit, "symbolic link");
    assert_int_equal(unlink(kit->file), 0);
    assert_int_equal(symlink(other, kit->journal), 0);
    kit_assert_cannot_open(kit, "symbolic link");
    assert_int_equal(unlink(kit->journal), 0);
    assert_int_equal(link(other, kit->journal), 0);
    kit_assert_cannot_open(kit, "second name");
    assert_int_equal(unlink(kit->journal), 0);
    assert_int_equal(mkdir(kit->file, 0700), 0);
    kit_assert_cannot_open(kit, "is not an ordinary file");
    assert_int_equal(rmdir(kit->file), 0);
    assert_int_equal(mkfifo(kit->journal, 0600), 0);
    kit_assert_cannot_open(kit, "is not an ordinary file");
    assert_int_equal(unlink(kit->journal), 0);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(symlink(other, lock), 0);
    kit_assert_cannot_open(kit, "symbolic link");

    size_t len;
    char *data = kit_read(other, &len);

    assert_string_equal(data, "precious");
    free(data);
}

static void test_no_folder(void **state)
{
    struct kit *kit = *state;
    char file[KIT_PATH_SIZE];
    char folder[KIT_PATH_SIZE];
    struct relay_store *store;
    struct relay_store_stats stats;

    (void)snprintf(folder, sizeof(folder), "%.200s/later", kit->folder);
    (void)snprintf(file, sizeof(file), "%.200s/x.gdbm", folder);
    kit->options.file = file;
    kit_assert_cannot_open(kit, "No such file or directory");

    /* A daemon waits for it. */
    kit->options.wait = true;
    store = kit_open(kit);
    relay_store_stats(store, &stats);
    assert_false(stats.usable);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (unsigned i = 0; i < 150 && !stats.usable; i++) {
        (void)usleep(100000);
        relay_store_stats(store, &stats);
    }
    assert_true(stats.usable);
    add_one(kit, store);
    relay_store_close(&store);
}

#define SOMEBODY 54321

/* Root works for the folder's owner. */
static void test_owners(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    struct stat now;
    size_t len;

    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chown(kit->folder, SOMEBODY, SOMEBODY + 1), 0);
    store = kit_open(kit);
    add_one(kit, store);
    assert_int_equal(stat(kit->journal, &now), 0);
    assert_int_equal(now.st_uid, SOMEBODY);
    assert_int_equal(now.st_gid, SOMEBODY + 1);
    assert_int_equal(now.st_mode & 07777, 0640);
    relay_store_close(&store);
    assert_int_equal(stat(kit->file, &now), 0);
    assert_int_equal(now.st_uid, SOMEBODY);
    assert_int_equal(now.st_gid, SOMEBODY + 1);
    assert_int_equal(now.st_mode & 07777, 0640);

    /* Owner and mode that the file has are kept. */
    assert_int_equal(chown(kit->file, SOMEBODY, SOMEBODY + 2), 0);
    assert_int_equal(chmod(kit->file, 0660), 0);
    store = kit_open(kit);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    relay_store_close(&store);
    assert_int_equal(stat(kit->file, &now), 0);
    assert_int_equal(now.st_uid, SOMEBODY);
    assert_int_equal(now.st_gid, SOMEBODY + 2);
    assert_int_equal(now.st_mode & 07777, 0660);

    /* Somebody else's is not trusted. */
    assert_int_equal(chown(kit->file, SOMEBODY + 9, SOMEBODY), 0);
    kit_assert_cannot_open(kit, "belongs to user");
    char *data = kit_read(kit->file, &len);

    assert_true(len > 0);
    free(data);
}

/* A daemon that is not root goes on with what root has made. */
static void as_somebody(struct kit *kit, struct relay_store *store)
{
    relay_store_close(&store);
    assert_int_equal(setegid(SOMEBODY + 1), 0);
    assert_int_equal(seteuid(SOMEBODY), 0);
    store = kit_open(kit);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000000"), STATUS_OK);
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000\n192.0.2.2 1700000000\n");
    relay_store_close(&store);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(kit->folder, 0500), 0);
    assert_int_equal(seteuid(SOMEBODY), 0);
    /* A folder that cannot be written: the journal cannot be made. */
    kit_assert_cannot_open(kit, "cannot be opened or created: Permission denied");
    assert_int_equal(seteuid(0), 0);
}

static void test_root_and_daemon_take_turns(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;

    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chown(kit->folder, SOMEBODY, SOMEBODY + 1), 0);
    store = kit_open(kit);
    add_one(kit, store);
    relay_store_close(&store);
    kit_crash(kit, as_somebody);
}

int main(void)
{
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_truncated_file),
        KIT_TEST(test_garbled_file),
        KIT_TEST(test_records_in_a_circle),
        KIT_TEST(test_file_that_is_none),
        KIT_TEST(test_journal_survives_a_damaged_file),
        KIT_TEST(test_damaged_journal),
        KIT_TEST(test_left_overs),
        KIT_TEST(test_not_a_file),
        KIT_TEST(test_no_folder),
        KIT_TEST(test_owners),
        KIT_TEST(test_root_and_daemon_take_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
