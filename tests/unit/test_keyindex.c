/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/keyindex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(struct keyindex *index, const char *key, unsigned line)
{
    keyindex_add(index, key, strlen(key), line);
}

static unsigned line_of(const struct keyindex *index, const char *key)
{
    return keyindex_line(index, key, strlen(key));
}

static void test_line_of_an_empty_index(void **state)
{
    struct keyindex index;

    (void)state;
    keyindex_init(&index);
    keyindex_sort(&index);
    assert_int_equal(line_of(&index, "x"), 0);
    assert_int_equal(line_of(&index, ""), 0);
    keyindex_fini(&index);
    keyindex_fini(&index); /* leaves an empty index */
}

static void test_line_is_the_first_of_equal_keys(void **state)
{
    struct keyindex index;

    (void)state;
    keyindex_init(&index);
    add(&index, "b.test", 9);
    add(&index, "a.test", 3);
    add(&index, "b.test", 5);
    add(&index, "b.test", 7);
    keyindex_sort(&index);
    assert_int_equal(line_of(&index, "a.test"), 3);
    assert_int_equal(line_of(&index, "b.test"), 5);
    assert_int_equal(line_of(&index, "c.test"), 0);
    assert_int_equal(line_of(&index, "a.tes"), 0);
    assert_int_equal(line_of(&index, "A.test"), 0); /* keys come folded */
    keyindex_fini(&index);
}

static void test_line_of_each_of_many(void **state)
{
    struct keyindex index;
    char key[32];

    (void)state;
    keyindex_init(&index);
    for (unsigned i = 1; i <= 100000; i++) {
        (void)snprintf(key, sizeof(key), "host%u.test", i);
        add(&index, key, i);
    }
    keyindex_sort(&index);
    for (unsigned i = 1; i <= 100000; i++) {
        (void)snprintf(key, sizeof(key), "host%u.test", i);
        assert_int_equal(line_of(&index, key), i);
    }
    assert_int_equal(line_of(&index, "host100001.test"), 0);
    assert_int_equal(line_of(&index, "host0.test"), 0);
    keyindex_fini(&index);
}

static void test_key_counts_by_its_length(void **state)
{
    struct keyindex index;

    (void)state;
    keyindex_init(&index);
    keyindex_add(&index, "abcdef", 3, 4);
    keyindex_sort(&index);
    assert_int_equal(line_of(&index, "abc"), 4);
    assert_int_equal(line_of(&index, "abcdef"), 0);
    keyindex_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_of_an_empty_index),
        cmocka_unit_test(test_line_is_the_first_of_equal_keys),
        cmocka_unit_test(test_line_of_each_of_many),
        cmocka_unit_test(test_key_counts_by_its_length),
    };

    return cmocka_run_group_tests_name("keyindex", tests, NULL, NULL);
}
