/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a map is made with: the records under its reserved keys (hash, filter, header), and the order of entries.
 */
#include "tests/unit/table_kit.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"
#include "lib/table/keyfilter.h"
#include "lib/table/mapheader.h"
#include "lib/table/recordsort.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Values of libxxhash's XXH64 (0.8.1). */
static void test_hash_is_xxh64(void **state)
{
    static const struct {
        const char *text;
        uint64_t seed;
        uint64_t hash;
    } cases[] = {
        {"", 0, 0xef46db3751d8e999u},
        {"a", 0, 0xd24ec4f1a98c6e5bu},
        {"abc", 0, 0x44bc2cf5ad770999u},
        {"xxhash", 0, 0x32dd38952c4bc720u},
        {"xxhash", 20141025, 0xb559b98d844e0635u},
        {"Call me Ishmael. Some years ago--never mind how long precisely-", 0, 0x02a2e85470d6fd96u},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(hash64(cases[i].text, strlen(cases[i].text), cases[i].seed) == cases[i].hash);
    }
}

/* A part has all its keys, and takes no more than a `one_in`th of others for its own. */
static void check_part(enum keyfilter_part part, size_t one_in)
{
    const size_t keys = 20000;
    size_t size = keyfilter_size(keys);
    char *filter = xcalloc(size, 1);
    size_t wrong = 0;

    assert_true(keyfilter_is_size(size));
    for (size_t i = 0; i < keys; i++) {
        keyfilter_add(filter, size, part, hash64(&i, sizeof(i), 7));
    }
    for (size_t i = 0; i < keys; i++) {
        keyfilter_prefetch(filter, size, part, hash64(&i, sizeof(i), 7));
        assert_true(keyfilter_may_have(filter, size, part, hash64(&i, sizeof(i), 7)));
    }
    for (size_t i = keys; i < 11 * keys; i++) {
        wrong += keyfilter_may_have(filter, size, part, hash64(&i, sizeof(i), 7));
    }
    if (wrong > 10 * keys / one_in) {
        fail_msg("%zu of %zu keys are wrongly taken as present", wrong, 10 * keys);
    }
    free(filter);
}

static void test_filter_has_all_keys_and_few_others(void **state)
{
    (void)state;
    check_part(KEYFILTER_REST, 30);
    check_part(KEYFILTER_WHOLE, 150);
}

static void test_parts_of_a_filter_are_apart(void **state)
{
    size_t size = keyfilter_size(100);
    char *filter = xcalloc(size, 1);

    (void)state;
    for (uint64_t hash = 0; hash < UINT64_MAX - (UINT64_MAX >> 10); hash += UINT64_MAX >> 10) {
        keyfilter_add(filter, size, KEYFILTER_WHOLE, hash);
        assert_false(keyfilter_may_have(filter, size, KEYFILTER_REST, hash));
    }
    free(filter);
}

static void test_empty_filter_has_nothing(void **state)
{
    size_t size = keyfilter_size(0);
    char filter[2 * KEYFILTER_BLOCK_SIZE] = {0};

    (void)state;
    assert_int_equal(size, sizeof(filter));
    for (int part = KEYFILTER_REST; part <= KEYFILTER_WHOLE; part++) {
        assert_false(keyfilter_may_have(filter, size, (enum keyfilter_part)part, 0));
        assert_false(keyfilter_may_have(filter, size, (enum keyfilter_part)part, UINT64_MAX));
    }
    assert_false(keyfilter_is_size(KEYFILTER_BLOCK_SIZE));
    assert_false(keyfilter_is_size(size + 1));
}

static struct mapheader sample(void)
{
    struct mapheader header = {
        .format = xstrdup("access"),
        .source = xstrdup("/etc/postern/access of today"),
        .source_size = UINT64_MAX,
        .source_mtime_ns = 1700000000123456789,
        .entries = 1000000,
        .filter_size = 64,
        .filter_seed = 0xfedcba9876543210u,
        .filter_check = 1,
    };

    header.ipv4.used[0] = header.ipv4.used[25] = header.ipv4.used[32] = true;
    return header;
}

static void test_header_is_read_back(void **state)
{
    struct mapheader before = sample();
    struct mapheader after;
    struct strbuf record;
    struct strbuf why;

    (void)state;
    strbuf_init(&record);
    strbuf_init(&why);
    mapheader_encode(&before, &record);
    assert_true(mapheader_decode(record.data, record.len, &after, &why));
    assert_string_equal(after.format, before.format);
    assert_string_equal(after.source, before.source);
    assert_true(after.source_size == before.source_size);
    assert_true(after.source_mtime_ns == before.source_mtime_ns);
    assert_true(after.entries == before.entries);
    assert_memory_equal(&after.ipv4, &before.ipv4, sizeof(after.ipv4));
    assert_memory_equal(&after.ipv6, &before.ipv6, sizeof(after.ipv6));
    assert_true(after.filter_size == before.filter_size);
    assert_true(after.filter_seed == before.filter_seed);
    assert_true(after.filter_check == before.filter_check);
    mapheader_fini(&after);
    mapheader_fini(&before);
    strbuf_fini(&record);
    strbuf_fini(&why);
}

/* A record that ends exactly where it ends: reading behind it is seen by AddressSanitizer. */
static bool decodes(const char *data, size_t len, struct strbuf *why)
{
    char *copy = xmalloc(len);
    struct mapheader header;

    memcpy(copy, data, len);
    bool decoded = mapheader_decode(copy, len, &header, why);

    if (decoded) {
        mapheader_fini(&header);
    }
    free(copy);
    return decoded;
}

static void test_header_with_any_damage_is_refused(void **state)
{
    struct mapheader header = sample();
    struct strbuf record;
    struct strbuf why;

    (void)state;
    strbuf_init(&record);
    strbuf_init(&why);
    mapheader_encode(&header, &record);
    for (size_t len = 0; len < record.len; len++) {
        strbuf_reset(&why);
        assert_false(decodes(record.data, len, &why));
        assert_true(why.len > 0);
    }
    /* The checksum of the file stands last and is judged with the file. */
    for (size_t i = 0; i < record.len - strlen(MAPHEADER_FILE_CHECK_ZERO); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            record.data[i] = (char)(record.data[i] ^ (1 << bit));
            strbuf_reset(&why);
            if (decodes(record.data, record.len, &why)) {
                fail_msg("bit %u of byte %zu changed, and it was not seen", bit, i);
            }
            record.data[i] = (char)(record.data[i] ^ (1 << bit));
        }
    }
    strbuf_append(&record, "x");
    assert_false(decodes(record.data, record.len, &why));
    mapheader_fini(&header);
    strbuf_fini(&record);
    strbuf_fini(&why);
}

/* Records whose checksum is right, as a hostile writer makes them. */
static void test_header_with_wrong_fields_is_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } changes[] = {
        {"postern-map 3", "postern-map 4"},
        {"format access", "format "},
        {"format access", "kind access"},
        {"entries 1000000", "entries -1"},
        {"entries 1000000", "entries 18446744073709551616"},
        {"ipv4-lengths 0,25,32", "ipv4-lengths 33"},
        {"ipv4-lengths 0,25,32", "ipv4-lengths 1,,2"},
        {"ipv4-lengths 0,25,32", "ipv4-lengths "},
        {"ipv6-lengths -", "ipv6-lengths 129"},
        {"filter-seed fedcba9876543210", "filter-seed xyz"},
    };
    struct mapheader header = sample();
    struct strbuf why;

    (void)state;
    strbuf_init(&why);
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct strbuf record;
        struct strbuf forged;

        strbuf_init(&record);
        strbuf_init(&forged);
        mapheader_encode(&header, &record);
        char *at = strstr(record.data, changes[i].from);
        char *check = record.data;

        assert_non_null(at);
        check = strstr(check, "\ncheck ") + 1;
        strbuf_append_len(&forged, record.data, (size_t)(at - record.data));
        strbuf_append(&forged, changes[i].to);
        at += strlen(changes[i].from);
        strbuf_append_len(&forged, at, (size_t)(check - at));
        strbuf_appendf(&forged, "check %016llx\nfile-check " MAPHEADER_FILE_CHECK_ZERO,
                       (unsigned long long)hash64(forged.data, forged.len, MAPHEADER_VERSION));
        strbuf_reset(&why);
        if (decodes(forged.data, forged.len, &why) || why.len == 0) {
            fail_msg("\"%s\" was accepted", changes[i].to);
        }
        strbuf_fini(&forged);
        strbuf_fini(&record);
    }
    mapheader_fini(&header);
    strbuf_fini(&why);
}

/* ---- the order in which entries are written ---- */

#define RECORDS 5000u

static unsigned number_of(unsigned i)
{
    return i * 7919 % RECORDS; /* each once, in disorder */
}

/* Adds records: order in groups of ten, keys of all lengths, each twice with different lines. */
static void add_records(struct recordsort *sort, struct strbuf *why)
{
    char value[200];

    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < 2 * RECORDS; i++) {
        unsigned number = number_of(i);
        char key[64];
        int len = snprintf(key, sizeof(key), "%04u%.*s", number, (int)(number % 50),
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        struct recordsort_record record = {
            .order = number / 10,
            .line = 2 * RECORDS - i,
            .key = key,
            .key_len = (size_t)len,
            .value = value,
            .value_len = number % sizeof(value),
        };

        assert_true(recordsort_add(sort, &record, why));
    }
}

/* Small memory: many pieces; large memory: none. */
static void test_sort(void **state)
{
    static const size_t memory[] = {0, 40000, 200000, (size_t)8 << 20};
    struct kit *kit = *state;

    for (size_t i = 0; i < COUNT(memory); i++) {
        struct recordsort *sort = recordsort_new(kit->map, memory[i]);
        struct recordsort_record record;
        uint32_t line = 0;
        char digits[16];

        add_records(sort, &kit->why);
        assert_int_equal(kit_files(kit), 0); /* what it writes has no name */
        assert_true(recordsort_finish(sort, &kit->why));
        for (unsigned given = 0; given < 2 * RECORDS; given++) {
            unsigned number = given / 2;

            assert_int_equal(recordsort_next(sort, &record, &kit->why), STATUS_OK);
            assert_int_equal(record.order, number / 10);
            assert_int_equal(record.key_len, 4 + number % 50);
            (void)snprintf(digits, sizeof(digits), "%04u", number);
            assert_memory_equal(record.key, digits, 4);
            assert_int_equal(record.value_len, number % 200);
            assert_true(record.value_len == 0 || record.value[record.value_len - 1] == 'v');
            assert_true(given % 2 == 0 || record.line > line);
            line = record.line;
        }
        assert_int_equal(recordsort_next(sort, &record, &kit->why), STATUS_NOTFOUND);
        assert_int_equal(recordsort_next(sort, &record, &kit->why), STATUS_NOTFOUND);
        recordsort_free(&sort);
        assert_null(sort);
    }
}

static void test_sort_nothing(void **state)
{
    struct kit *kit = *state;
    struct recordsort *sort = recordsort_new(kit->map, 0);
    struct recordsort_record record;

    assert_true(recordsort_finish(sort, &kit->why));
    assert_int_equal(recordsort_next(sort, &record, &kit->why), STATUS_NOTFOUND);
    recordsort_free(&sort);
    recordsort_free(&sort);
}

static void test_sort_without_room(void **state)
{
    struct kit *kit = *state;
    struct rlimit old;
    struct recordsort_record record = {.key = "k", .key_len = 1, .value = kit->folder};
    char path[KIT_PATH_SIZE + 16];
    struct recordsort *sort;

    /* No folder for its file. */
    (void)snprintf(path, sizeof(path), "%s/absent/x", kit->folder);
    sort = recordsort_new(path, 0);
    record.value_len = 100;
    while (recordsort_add(sort, &record, &kit->why)) {
        record.line++;
        assert_true(record.line < 100000);
    }
    assert_non_null(strstr(kit->why.data, "No such file"));
    recordsort_free(&sort);

    /* No room in it. */
    strbuf_reset(&kit->why);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = 50000, .rlim_max = old.rlim_max};

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    sort = recordsort_new(kit->map, 0);
    record.line = 0;
    while (recordsort_add(sort, &record, &kit->why)) {
        record.line++;
        assert_true(record.line < 100000);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(strstr(kit->why.data, "File too large"));
    recordsort_free(&sort);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_xxh64),
        cmocka_unit_test(test_filter_has_all_keys_and_few_others),
        cmocka_unit_test(test_parts_of_a_filter_are_apart),
        cmocka_unit_test(test_empty_filter_has_nothing),
        cmocka_unit_test(test_header_is_read_back),
        cmocka_unit_test(test_header_with_any_damage_is_refused),
        cmocka_unit_test(test_header_with_wrong_fields_is_refused),
        TEST(test_sort),
        TEST(test_sort_nothing),
        TEST(test_sort_without_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
