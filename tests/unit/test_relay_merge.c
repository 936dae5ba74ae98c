/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/relay_kit.h"

#include "lib/relay/relay_merge.h"

#include <stdio.h>
#include <string.h>

static void fill(struct relay_list *list, const char *const *entries, size_t count)
{
    struct strbuf texts;

    strbuf_init(&texts);
    relay_list_init(list);
    for (size_t i = 0; i < count; i++) {
        struct relay_entry entry = kit_entry(entries[i], &texts);

        (void)relay_list_add(list, &entry);
    }
    strbuf_fini(&texts);
}

static enum status merge(struct kit *kit, struct relay_store *store, const char *const *entries,
                         size_t count, struct relay_merged *merged)
{
    struct relay_list list;

    fill(&list, entries, count);
    strbuf_reset(&kit->why);
    enum status status = relay_merge(store, &list, merged, &kit->why);

    relay_list_fini(&list);
    return status;
}

static void assert_merged(const struct relay_merged *merged, size_t taken, size_t present,
                          size_t refused)
{
    assert_int_equal(merged->taken, taken);
    assert_int_equal(merged->present, present);
    assert_int_equal(merged->refused, refused);
}

static void test_the_younger_entry_stays(void **state)
{
    static const char *const entries[] = {
        "192.0.2.1 1700000005 user=new",  "192.0.2.2 1699999995 user=old",
        "192.0.2.3 1700000000 user=same", "2001:db8::/64 1700000009 user=net service=imap",
        "2001:db8::1 1700000007",
    };
    static const char after[] = "192.0.2.1 1700000005 user=new\n192.0.2.2 1700000000 user=two\n"
                                "192.0.2.3 1700000000 user=three\n192.0.2.4 1700000000\n"
                                "2001:db8::/64 1700000009 user=net service=imap\n"
                                "2001:db8::1 1700000007\n";
    struct kit *kit = *state;
    struct relay_merged merged;

    /* A login would be one of the network; what is merged stays as it is. */
    kit->options.terms.ipv6_prefix_bits = 56;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(kit_add(kit, store, "192.0.2.1 1700000000 user=one"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "192.0.2.2 1700000000 user=two"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "192.0.2.3 1700000000 user=three"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "192.0.2.4 1700000000"), STATUS_OK);
    assert_int_equal(merge(kit, store, entries, COUNT(entries), &merged), STATUS_OK);
    assert_merged(&merged, 3, 2, 0);
    assert_string_equal(kit->why.data, "");
    assert_string_equal(kit_store_text(kit, store), after);
    assert_int_equal(merge(kit, store, entries, COUNT(entries), &merged), STATUS_OK);
    assert_merged(&merged, 0, 5, 0);
    relay_store_close(&store);
    store = kit_open(kit);
    assert_string_equal(kit_store_text(kit, store), after);
    relay_store_close(&store);
}

static void merge_and_crash(struct kit *kit, struct relay_store *store)
{
    static const char *const entries[] = {"192.0.2.1 1700000005", "192.0.2.2 1700000005"};
    struct relay_merged merged;

    assert_int_equal(kit_add(kit, store, "192.0.2.2 1700000009 user=younger"), STATUS_OK);
    assert_int_equal(merge(kit, store, entries, COUNT(entries), &merged), STATUS_OK);
    assert_merged(&merged, 1, 1, 0);
}

static void test_what_is_merged_is_on_the_disk(void **state)
{
    struct kit *kit = *state;

    kit_crash(kit, merge_and_crash);
    struct relay_store *store = kit_open(kit);

    assert_string_equal(kit_store_text(kit, store),
                        "192.0.2.1 1700000005\n192.0.2.2 1700000009 user=younger\n");
    relay_store_close(&store);
}

static void test_many_with_room_for_some(void **state)
{
    struct kit *kit = *state;
    struct relay_merged merged;
    struct relay_list list;
    char text[64];

    kit->options.terms.max_entries = 2500;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(kit_add(kit, store, "10.1.0.7 1700000000"), STATUS_OK);
    assert_int_equal(kit_add(kit, store, "192.0.2.1 1700000000"), STATUS_OK);
    relay_list_init(&list);
    for (unsigned i = 0; i < 3000; i++) {
        struct strbuf texts;

        strbuf_init(&texts);
        (void)snprintf(text, sizeof(text), "10.1.%u.%u 1699999999", i / 256, i % 256);
        struct relay_entry entry = kit_entry(text, &texts);

        (void)relay_list_add(&list, &entry);
        strbuf_fini(&texts);
    }
    assert_int_equal(relay_merge(store, &list, &merged, &kit->why), STATUS_INVALID);
    assert_merged(&merged, 2498, 1, 501);
    assert_non_null(strstr(kit->why.data, "max_entries"));
    relay_list_fini(&list);
    relay_store_close(&store);
}

static void test_a_store_that_is_only_read_takes_nothing(void **state)
{
    static const char *const entries[] = {"192.0.2.1 1700000005", "192.0.2.2 1700000005"};
    struct kit *kit = *state;
    struct relay_merged merged;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(kit_add(kit, store, "192.0.2.9 1700000000"), STATUS_OK);
    relay_store_close(&store);
    store = relay_store_read(&kit->options, &kit->why);
    assert_non_null(store);
    assert_int_equal(merge(kit, store, entries, COUNT(entries), &merged), STATUS_TEMPFAIL);
    assert_merged(&merged, 0, 0, 0);
    assert_string_not_equal(kit->why.data, "");
    assert_string_equal(kit_store_text(kit, store), "192.0.2.9 1700000000\n");
    relay_store_close(&store);
}

static void test_nothing(void **state)
{
    struct kit *kit = *state;
    struct relay_merged merged;
    struct relay_store *store = kit_open(kit);

    assert_int_equal(merge(kit, store, NULL, 0, &merged), STATUS_OK);
    assert_merged(&merged, 0, 0, 0);
    relay_store_close(&store);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_younger_entry_stays),
        TEST(test_what_is_merged_is_on_the_disk),
        TEST(test_many_with_room_for_some),
        TEST(test_a_store_that_is_only_read_takes_nothing),
        TEST(test_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
