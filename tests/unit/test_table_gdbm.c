/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/table_kit.h"

#include "lib/base/xalloc.h"
#include "lib/table/filecheck.h"
#include "lib/table/mapheader.h"
#include "lib/table/table_gdbm.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYS 600u
#define ROUNDS 400u

static void test_find(void **state)
{
    struct kit *kit = *state;
    struct table_value value;
    const unsigned char *lengths;

    assert_int_equal(kit_build(kit, "# c\nConnect:Host.Example\tREJECT\n"
                                    "From:a@b  ERROR:5.7.1:\"550 Two  blanks\"  \n"),
                     STATUS_OK);
    struct table *table = kit_open(kit);

    assert_non_null(table);
    assert_string_equal(table_name(table), "access");
    assert_string_equal(table_source(table), kit->text);
    assert_null(table_failure(table));
    assert_int_equal(table_count(table), 2);
    assert_int_equal(table_prefixes(table, NETADDR_IPV4, &lengths), 0);
    assert_int_equal(table_find(table, "from:a@b", 8, kit->arena, &value), STATUS_OK);
    assert_string_equal(value.text, "ERROR:5.7.1:\"550 Two  blanks\"");
    assert_int_equal(value.len, strlen(value.text));
    assert_int_equal(value.line, 3);
    assert_string_equal(kit_find(kit, table, "connect:host.example"), "REJECT");
    assert_null(kit_find(kit, table, "connect:host.exampl"));
    assert_null(kit_find(kit, table, ""));

    /* What the map says of itself is no key. */
    assert_int_equal(table_find(table, MAPHEADER_KEY, MAPHEADER_KEY_LEN, kit->arena, &value),
                     STATUS_NOTFOUND);
    assert_int_equal(
        table_find(table, MAPHEADER_FILTER_KEY, MAPHEADER_FILTER_KEY_LEN, kit->arena, &value),
        STATUS_NOTFOUND);
    table_unref(&table);
}

static void test_empty_map(void **state)
{
    struct kit *kit = *state;

    assert_int_equal(kit_build(kit, ""), STATUS_OK);
    struct table *table = kit_open(kit);

    assert_non_null(table);
    assert_int_equal(table_count(table), 0);
    assert_null(kit_find(kit, table, "a"));
    table_unref(&table);
}

static void test_every_key_is_found(void **state)
{
    struct kit *kit = *state;
    const unsigned count = 20000;
    struct strbuf text;
    char key[64];
    char expected[64];

    strbuf_init(&text);
    for (unsigned i = 0; i < count; i++) {
        strbuf_appendf(&text, "Connect:10.%u.%u.%u\t550 text %u\n", i >> 16, i >> 8 & 255, i & 255,
                       i);
    }
    assert_int_equal(kit_build(kit, text.data), STATUS_OK);
    strbuf_fini(&text);
    struct table *table = kit_open(kit);

    assert_non_null(table);
    assert_int_equal(table_count(table), count);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "connect:10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        (void)snprintf(expected, sizeof(expected), "550 text %u", i);
        assert_string_equal(kit_find(kit, table, key), expected);
        key[8] = '2';
        assert_null(kit_find(kit, table, key));
        arena_reset(kit->arena);
    }
    table_unref(&table);
}

static void test_open_table_outlives_its_file(void **state)
{
    struct kit *kit = *state;

    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    struct table *old = kit_open(kit);

    assert_non_null(old);
    assert_int_equal(kit_build(kit, "a REJECT\nb OK\n"), STATUS_OK);
    struct table *new = kit_open(kit);

    assert_non_null(new);
    assert_string_equal(kit_find(kit, old, "a"), "OK");
    assert_null(kit_find(kit, old, "b"));
    assert_string_equal(kit_find(kit, new, "a"), "REJECT");
    table_unref(&new);
    assert_int_equal(unlink(kit->map), 0);
    assert_string_equal(kit_find(kit, old, "a"), "OK");
    table_unref(&old);
}

static void test_open_tells_which_file(void **state)
{
    struct kit *kit = *state;
    struct stat opened;
    struct stat st;

    assert_int_equal(kit_build(kit, "a OK\n"), STATUS_OK);
    struct table *table = table_gdbm_open_stat("access", kit->map, kit->text, &opened, &kit->why);

    assert_non_null(table);
    assert_int_equal(stat(kit->map, &st), 0);
    assert_int_equal(opened.st_ino, st.st_ino);
    assert_int_equal(opened.st_dev, st.st_dev);
    table_unref(&table);
}

static void expect_refused(struct kit *kit, const char *reason)
{
    struct table *table = kit_open(kit);

    assert_null(table);
    if (strstr(kit->why.data, reason) == NULL || strncmp(kit->why.data, kit->map, 8) != 0) {
        fail_msg("\"%s\" does not tell \"%s\"", kit->why.data, reason);
    }
}

static void test_open_refuses(void **state)
{
    struct kit *kit = *state;

    expect_refused(kit, "No such file");
    assert_int_equal(mkdir(kit->map, 0700), 0);
    expect_refused(kit, "is not an ordinary file");
    assert_int_equal(rmdir(kit->map), 0);
    assert_int_equal(mkfifo(kit->map, 0600), 0);
    expect_refused(kit, "is not an ordinary file");
    assert_int_equal(unlink(kit->map), 0);
    kit_write(kit->map, "", 0);
    expect_refused(kit, "is not a map made by posternctl makemap");
    kit_write(kit->map, "a OK\n", 5);
    expect_refused(kit, "is not a map made by posternctl makemap");
    if (geteuid() != 0) { /* root may read everything */
        assert_int_equal(chmod(kit->map, 0), 0);
        expect_refused(kit, "Permission denied");
    }
}

/* ---- broken files ---- */

static void make_keys(struct kit *kit)
{
    struct strbuf text;

    strbuf_init(&text);
    for (unsigned i = 0; i < KEYS; i++) {
        strbuf_appendf(&text, "key%u\t550 5.7.1 text %u\n", i, i);
    }
    assert_int_equal(kit_build(kit, text.data), STATUS_OK);
    strbuf_fini(&text);
}

/* Asks for all keys. Returns how many were not found; whatever is found or fails must be sound in itself. */
static unsigned ask_for_all(struct kit *kit, const struct table *table)
{
    unsigned lost = 0;
    char key[32];

    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key%u", i);
        lost += kit_find(kit, table, key) == NULL;
        arena_reset(kit->arena);
    }
    return lost;
}

static void test_truncated_file_is_refused(void **state)
{
    struct kit *kit = *state;
    struct table *table;
    size_t len;

    make_keys(kit);
    char *whole = kit_read(kit->map, &len);

    for (size_t cut = 0; cut < len; cut += 331) {
        kit_write(kit->map, whole, cut);
        table = kit_open(kit);
        assert_null(table);
        assert_true(kit->why.len > 0);
    }
    free(whole);
}

static void test_file_cut_off_while_open_loses_no_key(void **state)
{
    struct kit *kit = *state;
    size_t len;

    make_keys(kit);
    char *whole = kit_read(kit->map, &len);

    for (size_t cut = 0; cut < len; cut += 4099) {
        kit_write(kit->map, whole, len);
        struct table *table = kit_open(kit);

        assert_non_null(table);
        assert_int_equal(truncate(kit->map, (off_t)cut), 0);
        assert_int_equal(ask_for_all(kit, table), 0); /* failures, but never "not found" */
        table_unref(&table);
    }
    free(whole);
}

/* Changes a few bytes, or whole blocks, of a copy. */
static void damage(char *data, size_t len, unsigned *seed)
{
    unsigned changes = 1 + (unsigned)rand_r(seed) % 8;
    size_t at;

    for (unsigned i = 0; i < changes; i++) {
        at = (size_t)rand_r(seed) % len;
        switch (rand_r(seed) % 4) {
        case 0:
            data[at] = (char)rand_r(seed);
            break;
        case 1:
            data[at] = (char)(data[at] ^ 1 << rand_r(seed) % 8);
            break;
        case 2: /* a number of GDBM's, negative or huge */
            at = at / 4 * 4;
            memset(data + at, rand_r(seed) % 2 ? 0xff : 0x7f, len - at < 4 ? len - at : 4);
            break;
        default:
            at = at / 512 * 512;
            memset(data + at, 0, len - at < 512 ? len - at : 512);
            break;
        }
    }
}

static void test_any_damage_is_refused(void **state)
{
    struct kit *kit = *state;
    unsigned seed = 1;
    size_t len;

    make_keys(kit);
    char *whole = kit_read(kit->map, &len);
    char *copy = xmalloc(len);

    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(copy, whole, len);
        damage(copy, len, &seed);
        if (memcmp(copy, whole, len) == 0) {
            continue;
        }
        kit_write(kit->map, copy, len);
        struct table *table = kit_open(kit);

        if (table != NULL) {
            fail_msg("the damage of round %u was not seen", round);
        }
        assert_true(kit->why.len > 0);
    }
    free(copy);
    free(whole);
}

/* Gives the file a checksum that is right again. False: its header is no more. */
static bool seal_again(struct kit *kit, const char *record, size_t record_len)
{
    int fd = open(kit->map, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    strbuf_reset(&kit->why);
    bool sealed = filecheck_seal(fd, record, record_len, &kit->why);

    close(fd);
    return sealed;
}

/*
 * A file that was made to hurt has a checksum that is right. Nothing can be said of what it answers, but nobody may crash,
 * hang, or read what is not his (AddressSanitizer looks on).
 */
static void test_hostile_file_hurts_nobody(void **state)
{
    static const char begin[] = "postern-map ";
    struct kit *kit = *state;
    unsigned opened = 0;
    unsigned seed = 2;
    size_t len;

    make_keys(kit);
    char *whole = kit_read(kit->map, &len);
    char *copy = xmalloc(len);
    char *record = memmem(whole, len, begin, strlen(begin));

    assert_non_null(record);
    char *seal = memmem(record, len - (size_t)(record - whole), "\nfile-check ", 12);

    assert_non_null(seal);
    memcpy(seal + 12, MAPHEADER_FILE_CHECK_ZERO, strlen(MAPHEADER_FILE_CHECK_ZERO));
    size_t record_len = (size_t)(seal + 12 - record) + strlen(MAPHEADER_FILE_CHECK_ZERO);

    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(copy, whole, len);
        damage(copy, len, &seed);
        kit_write(kit->map, copy, len);
        if (!seal_again(kit, record, record_len)) {
            continue;
        }
        struct table *table = kit_open(kit);

        if (table != NULL) {
            opened++;
            (void)ask_for_all(kit, table);
            table_unref(&table);
        }
    }
    assert_true(opened > ROUNDS / 10); /* else nothing was tried */
    free(copy);
    free(whole);
}

/* ---- threads ---- */

struct shared {
    struct kit *kit;
    pthread_mutex_t mutex; /* of table */
    struct table *table;
    atomic_bool stop;
    atomic_uint wrong;
    atomic_uint asked;
};

/* Takes the table of the moment, as a session takes its ruleset. */
static struct table *current(struct shared *shared)
{
    pthread_mutex_lock(&shared->mutex);
    struct table *table = table_ref(shared->table);

    pthread_mutex_unlock(&shared->mutex);
    return table;
}

/* In each version of the map all keys have the same value: a reader sees one version at a time. */
static void *read_always(void *ctx)
{
    struct shared *shared = ctx;
    struct arena *arena = arena_new();
    char key[32];

    while (!atomic_load(&shared->stop)) {
        struct table *table = current(shared);
        struct table_value value;
        char first[32] = "";

        for (unsigned i = 0; i < 40; i++) {
            (void)snprintf(key, sizeof(key), "key%u", i);
            if (table_find(table, key, strlen(key), arena, &value) != STATUS_OK) {
                atomic_fetch_add(&shared->wrong, 1);
                continue;
            }
            if (i == 0) {
                (void)snprintf(first, sizeof(first), "%s", value.text);
            }
            atomic_fetch_add(&shared->wrong, strcmp(first, value.text) != 0);
            atomic_fetch_add(&shared->asked, 1);
            atomic_fetch_add(&shared->wrong,
                             table_find(table, "absent", 6, arena, &value) != STATUS_NOTFOUND);
        }
        table_unref(&table);
        arena_reset(arena);
    }
    arena_free(&arena);
    return NULL;
}

static void replace(struct shared *shared, unsigned version)
{
    struct kit *kit = shared->kit;
    struct strbuf text;

    strbuf_init(&text);
    for (unsigned i = 0; i < 40; i++) {
        strbuf_appendf(&text, "key%u version %u\n", i, version);
    }
    assert_int_equal(kit_build(kit, text.data), STATUS_OK);
    strbuf_fini(&text);
    struct table *table = kit_open(kit);

    assert_non_null(table);
    pthread_mutex_lock(&shared->mutex);
    struct table *old = shared->table;

    shared->table = table;
    pthread_mutex_unlock(&shared->mutex);
    table_unref(&old);
}

static void test_threads_while_the_map_is_replaced(void **state)
{
    struct shared shared = {.kit = *state, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[8]; /* twice as many as a table has handles */

    replace(&shared, 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_always, &shared), 0);
    }
    for (unsigned version = 1; version < 30; version++) {
        replace(&shared, version);
        (void)usleep(10000);
    }
    atomic_store(&shared.stop, true);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    table_unref(&shared.table);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_true(atomic_load(&shared.asked) > 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find),
        TEST(test_empty_map),
        TEST(test_every_key_is_found),
        TEST(test_open_table_outlives_its_file),
        TEST(test_open_tells_which_file),
        TEST(test_open_refuses),
        TEST(test_truncated_file_is_refused),
        TEST(test_file_cut_off_while_open_loses_no_key),
        TEST(test_any_damage_is_refused),
        TEST(test_hostile_file_hurts_nobody),
        TEST(test_threads_while_the_map_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
