/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/relay_kit.h"

#include "lib/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum status ask(const struct relay_store *store, const char *client, int64_t now)
{
    struct netaddr addr = kit_address(client);

    return relay_store_find(store, &addr, now, NULL);
}

static size_t expire(struct kit *kit, struct relay_store *store, unsigned minutes, bool all)
{
    struct relay_change change = {.kind = RELAY_EXPIRE, .minutes = minutes, .all = all};
    size_t count = 0;

    strbuf_reset(&kit->why);
    assert_int_equal(relay_store_apply(store, &change, &kit->why, &count), STATUS_OK);
    return count;
}

static enum status replace(struct kit *kit, struct relay_store *store, const char *const *texts,
                           size_t count)
{
    struct strbuf *words = xcalloc(count + 1, sizeof(*words));
    struct relay_entry *entries = xcalloc(count + 1, sizeof(*entries));
    size_t loaded = 0;

    for (size_t i = 0; i < count; i++) {
        strbuf_init(&words[i]);
        entries[i] = kit_entry(texts[i], &words[i]);
    }
    struct relay_change change = {.kind = RELAY_REPLACE, .entries = entries, .entry_count = count};

    strbuf_reset(&kit->why);
    enum status status = relay_store_apply(store, &change, &kit->why, &loaded);

    assert_int_equal(loaded, status == STATUS_OK ? count : 0);
    for (size_t i = 0; i < count; i++) {
        strbuf_fini(&words[i]);
    }
    free(words);
    free(entries);
    return status;
}

/* ---- changes, and what is there after a restart ---- */

#define THREE                                      \
    "192.0.2.1 1700000000 user=ann service=imap\n" \
    "192.0.2.2 1700000001\n"                       \
    "2001:db8:0:1::/64 1700000002 user=bob\n"

static void add_three(struct kit *kit, struct relay_store *store)
{
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1700000000 user=ann service=imap"),
                     STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.2 1700000001"), STATUS_OK);
    /* Of an IPv6 address its network is granted. */
    assert_int_equal(kit_login(kit, store, "2001:db8:0:1::5 1700000002 user=bob"), STATUS_OK);
}

static void test_entries_stay(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store), "");
    add_three(kit, store);
    assert_string_equal(kit_store_text(kit, store), THREE);
    relay_store_close(&store);
    assert_null(store);
    /* All of it is in the file that gdbmtool can read. */
    assert_false(kit_exists(kit->journal));
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), THREE);
    assert_int_equal(kit_remove(kit, store, "192.0.2.2"), STATUS_OK);
    assert_int_equal(kit_remove(kit, store, "192.0.2.2"), STATUS_NOTFOUND);
    assert_string_equal(kit->why.data, "there is no such entry");
    assert_int_equal(kit_remove(kit, store, "2001:db8:0:1::/64"), STATUS_OK);
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1700000000 user=ann service=imap\n");
    relay_store_close(&store);
}

static void test_entries_stay_after_a_crash(void **state)
{
    struct kit *kit = *state;

    kit_crash(kit, add_three);
    assert_true(kit_exists(kit->journal));

    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store), THREE);
    relay_store_close(&store);
    assert_false(kit_exists(kit->journal));
}

static void change_three(struct kit *kit, struct relay_store *store)
{
    static const char *const texts[] = {"192.0.2.3 5 user=c", "192.0.2.4 6"};

    add_three(kit, store);
    assert_int_equal(replace(kit, store, texts, 2), STATUS_OK);
    assert_int_equal(kit_remove(kit, store, "192.0.2.4"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "2001:db8::7 7"), STATUS_OK);
}

static void test_all_changes_stay_after_a_crash(void **state)
{
    struct kit *kit = *state;

    kit_crash(kit, change_three);

    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store), "192.0.2.3 5 user=c\n2001:db8::7 7\n");
    assert_int_equal(expire(kit, store, 0, true), 2);
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), "");
    relay_store_close(&store);
}

static void test_login_and_add(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_store_stats stats;

    add_three(kit, store);
    /* A login never moves a date back, an addition does what it is told. */
    assert_int_equal(kit_login(kit, store, "192.0.2.1 1600000000 user=eve"), STATUS_OK);
    assert_string_equal(kit_store_text(kit, store), THREE);
    assert_int_equal(kit_login(kit, store, "2001:db8:0:1:ffff:: 1700000003"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "192.0.2.1 1600000000"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "2001:db8::/56 1600000000"), STATUS_OK);
    assert_string_equal(kit_store_text(kit, store), "192.0.2.1 1600000000\n192.0.2.2 1700000001\n"
                                                    "2001:db8:0:1::/64 1700000003\n"
                                                    "2001:db8::/56 1600000000\n");
    relay_store_stats(store, &stats);
    assert_int_equal(stats.granted, 7);
    assert_int_equal(stats.entries, 4);
    /* The one that changed nothing cost no write. */
    assert_int_equal(stats.syncs, 6);
    relay_store_close(&store);
}

static void test_unsound_entries(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_change change = {.kind = RELAY_LOGIN, .entry = {.user = "", .service = ""}};

    strbuf_reset(&kit->why);
    assert_int_equal(relay_store_apply(store, &change, &kit->why, NULL), STATUS_INVALID);
    assert_string_equal(kit->why.data, "no IP address");
    change.kind = RELAY_ADD;
    change.entry.addr = (struct netaddr){.family = NETADDR_IPV4, .bits = 8};
    assert_int_equal(relay_store_apply(store, &change, &kit->why, NULL), STATUS_INVALID);
    change.entry.addr = kit_address("192.0.2.1");
    change.entry.login_at = -1;
    assert_int_equal(relay_store_apply(store, &change, &kit->why, NULL), STATUS_INVALID);
    assert_string_equal(kit_store_text(kit, store), "");
    relay_store_close(&store);
}

static void test_window(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    struct relay_found found;
    struct netaddr client = kit_address("2001:db8:0:1::9");

    kit->options.terms.window_minutes = 60;
    store = kit_open(kit);
    add_three(kit, store);
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW + 3599), STATUS_OK);
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW + 3600), STATUS_NOTFOUND);
    assert_int_equal(ask(store, "192.0.2.9", KIT_NOW), STATUS_NOTFOUND);
    assert_int_equal(relay_store_find(store, &client, KIT_NOW, &found), STATUS_OK);
    assert_string_equal(found.user, "bob");
    assert_int_equal(found.addr.bits, 64);
    relay_store_configure(
        store,
        &(struct relay_terms){.window_minutes = 0, .max_entries = 1000, .ipv6_prefix_bits = 64});
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW + 360000000), STATUS_OK);
    relay_store_configure(
        store,
        &(struct relay_terms){.window_minutes = 1, .max_entries = 1000, .ipv6_prefix_bits = 128});
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW + 60), STATUS_NOTFOUND);
    assert_int_equal(kit_login(kit, store, "2001:db8:0:5::5 1700000002"), STATUS_OK);
    assert_int_equal(ask(store, "2001:db8:0:5::6", KIT_NOW), STATUS_NOTFOUND);
    assert_int_equal(ask(store, "2001:db8:0:5::5", KIT_NOW), STATUS_OK);
    relay_store_close(&store);
}

static void test_expire(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    int64_t now = time(NULL);
    char text[64];

    (void)snprintf(text, sizeof(text), "192.0.2.1 %lld", (long long)now - 601);
    assert_int_equal(kit_add(kit, store, text), STATUS_OK);
    (void)snprintf(text, sizeof(text), "192.0.2.2 %lld", (long long)now - 500);
    assert_int_equal(kit_add(kit, store, text), STATUS_OK);
    (void)snprintf(text, sizeof(text), "192.0.2.3 %lld", (long long)now + 5000);
    assert_int_equal(kit_add(kit, store, text), STATUS_OK);
    assert_int_equal(expire(kit, store, 11, false), 0);
    assert_int_equal(expire(kit, store, 10, false), 1);
    assert_int_equal(ask(store, "192.0.2.1", now), STATUS_NOTFOUND);
    assert_int_equal(expire(kit, store, 0, false), 1);
    assert_int_equal(ask(store, "192.0.2.3", now), STATUS_OK);
    assert_int_equal(expire(kit, store, 0, true), 1);
    assert_string_equal(kit_store_text(kit, store), "");
    relay_store_close(&store);
}

/* ---- replacing all ---- */

static void test_replace(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store;
    static const char *const texts[] = {"192.0.2.1 5 user=a", "2001:db8::/64 6", "192.0.2.7 7"};

    kit->options.terms.max_entries = 3;
    store = kit_open(kit);
    add_three(kit, store);
    assert_int_equal(replace(kit, store, texts, 3), STATUS_OK);
    assert_string_equal(kit_store_text(kit, store),
                        "192.0.2.1 5 user=a\n192.0.2.7 7\n2001:db8::/64 6\n");
    relay_store_configure(
        store,
        &(struct relay_terms){.window_minutes = 0, .max_entries = 2, .ipv6_prefix_bits = 64});
    assert_int_equal(replace(kit, store, texts, 3), STATUS_INVALID);
    assert_non_null(strstr(kit->why.data, "max_entries"));
    assert_int_equal(replace(kit, store, texts, 0), STATUS_OK);
    assert_string_equal(kit_store_text(kit, store), "");
    relay_store_close(&store);
}

/* ---- the lock ---- */

static void test_one_process_has_it(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct relay_store *waiting;
    struct relay_store_stats stats;

    kit_assert_cannot_open(kit, "another process has it");
    kit->options.wait = true;
    waiting = kit_open(kit);
    relay_store_stats(waiting, &stats);
    assert_false(stats.usable);
    assert_non_null(strstr(stats.failure, "another process has it"));
    assert_int_equal(ask(waiting, "192.0.2.1", KIT_NOW), STATUS_TEMPFAIL);
    assert_int_equal(kit_login(kit, waiting, "192.0.2.1 5"), STATUS_TEMPFAIL);
    assert_non_null(strstr(kit->why.data, "another process has it"));
    add_three(kit, store);
    relay_store_close(&store);
    for (unsigned i = 0; i < 150 && !stats.usable; i++) {
        (void)usleep(100000);
        relay_store_stats(waiting, &stats);
    }
    assert_true(stats.usable);
    assert_string_equal(stats.failure, "");
    assert_string_equal(kit_store_text(kit, waiting), THREE);
    relay_store_close(&waiting);
}

/* ---- reading only ---- */

static void assert_file_is(const char *path, const char *data, size_t len)
{
    size_t now_len;
    char *now = kit_read(path, &now_len);

    assert_int_equal(now_len, len);
    assert_memory_equal(now, data, len);
    free(now);
}

static void test_read_changes_nothing(void **state)
{
    struct kit *kit = *state;
    size_t len;

    assert_null(relay_store_read(&kit->options, &kit->why));
    assert_non_null(strstr(kit->why.data, "there is no such file"));
    assert_int_equal(kit_files(kit, ""), 0);
    kit_crash(kit, add_three);

    char *before = kit_read(kit->journal, &len);
    size_t files = kit_files(kit, "");
    struct relay_store *owner = kit_open(kit);
    struct relay_store *store = relay_store_read(&kit->options, &kit->why);

    assert_non_null(store);
    assert_string_equal(kit_store_text(kit, store), THREE);
    assert_int_equal(ask(store, "192.0.2.1", KIT_NOW), STATUS_OK);
    assert_int_equal(kit_login(kit, store, "192.0.2.9 5"), STATUS_TEMPFAIL);
    relay_store_close(&store);
    relay_store_close(&owner);

    /* With nobody else there. */
    kit_write(kit->journal, before, len);
    assert_int_equal(unlink(kit->file), 0);
    store = relay_store_read(&kit->options, &kit->why);
    assert_non_null(store);
    relay_store_close(&store);
    assert_file_is(kit->journal, before, len);
    assert_int_equal(kit_files(kit, ""), files);
    free(before);
}

/* ---- snapshots while it runs ---- */

static bool wait_for_file(const struct kit *kit)
{
    for (unsigned i = 0; i < 100; i++) {
        if (kit_exists(kit->file)) {
            return true;
        }
        (void)usleep(100000);
    }
    return false;
}

/* A small store is brought to its file after some seconds; what comes meanwhile is kept in a new journal. */
static void test_snapshot_while_open(void **state)
{
    struct kit *kit = *state;
    struct relay_store *store = kit_open(kit);
    struct stat before;
    struct stat after;

    add_three(kit, store);
    assert_true(wait_for_file(kit));
    for (unsigned i = 0; i < 100 && kit_files(kit, ".old") > 0; i++) {
        (void)usleep(100000);
    }
    assert_int_equal(stat(kit->file, &before), 0);
    assert_int_equal(stat(kit->journal, &after), 0);
    assert_int_equal(after.st_size, 0);
    assert_int_equal(kit_files(kit, ".old"), 0);
    assert_int_equal(kit_files(kit, ".new"), 0);
    assert_int_equal(kit_login(kit, store, "192.0.2.9 1800000000"), STATUS_OK);
    assert_int_equal(stat(kit->journal, &after), 0);
    assert_true(after.st_size > 0);
    relay_store_close(&store);
    assert_int_equal(stat(kit->file, &after), 0);
    assert_int_not_equal(after.st_ino, before.st_ino);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store),
                        "192.0.2.1 1700000000 user=ann service=imap\n192.0.2.2 1700000001\n"
                        "192.0.2.9 1800000000\n2001:db8:0:1::/64 1700000002 user=bob\n");
    relay_store_close(&store);
}

int main(void)
{
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_entries_stay),
        KIT_TEST(test_entries_stay_after_a_crash),
        KIT_TEST(test_all_changes_stay_after_a_crash),
        KIT_TEST(test_login_and_add),
        KIT_TEST(test_unsound_entries),
        KIT_TEST(test_window),
        KIT_TEST(test_expire),
        KIT_TEST(test_replace),
        KIT_TEST(test_one_process_has_it),
        KIT_TEST(test_read_changes_nothing),
        KIT_TEST(test_snapshot_while_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
