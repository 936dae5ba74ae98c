/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/arena.h"

#include <stdalign.h>
#include <string.h>

static void test_pieces_do_not_overlap(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    enum { COUNT = 500 };
    unsigned char *pieces[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = arena_alloc(arena, i);
        (void)memset(pieces[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < i; at++) {
            assert_int_equal(pieces[i][at], i & 0xff);
        }
    }
    arena_free(&arena);
    assert_null(arena);
    arena_free(&arena);
}

static void test_pieces_are_aligned(void **state)
{
    (void)state;
    struct arena *arena = arena_new();

    for (size_t size = 0; size < 100; size++) {
        assert_int_equal((uintptr_t)arena_alloc(arena, size) % alignof(max_align_t), 0);
    }
    arena_free(&arena);
}

static void test_large_piece(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    const size_t size = 3u << 20;
    char *small = arena_strdup(arena, "before");
    char *large = arena_alloc(arena, size);

    (void)memset(large, 'x', size);
    char *after = arena_strdup(arena, "after");

    assert_string_equal(small, "before");
    assert_string_equal(after, "after");
    assert_int_equal(large[size - 1], 'x');
    arena_free(&arena);
}

static void test_reset_gives_the_first_block_again(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    char *first = arena_alloc(arena, 16);

    for (int i = 0; i < 100; i++) {
        (void)arena_alloc(arena, 1000);
    }
    arena_reset(arena);
    assert_ptr_equal(arena_alloc(arena, 16), first);
    arena_free(&arena);
}

static void test_texts(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    char long_text[5000];

    assert_string_equal(arena_strdup(arena, ""), "");
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_memory_equal(arena_strndup(arena, "a\0b", 3), "a\0b", 4);
    assert_string_equal(arena_printf(arena, "%s-%d%%", "x", 42), "x-42%");
    (void)memset(long_text, 'y', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_string_equal(arena_printf(arena, "%s", long_text), long_text);
    assert_string_equal(arena_printf(arena, "%s", ""), "");
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_do_not_overlap),
        cmocka_unit_test(test_pieces_are_aligned),
        cmocka_unit_test(test_large_piece),
        cmocka_unit_test(test_reset_gives_the_first_block_again),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
