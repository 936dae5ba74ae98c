/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define SIZE 100u
#define MANY 3000u /* more than one slab holds */
#define THREADS 4u

static void test_blocks_do_not_overlap(void **state)
{
    struct pool *pool = pool_new(SIZE);
    static unsigned char *blocks[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = pool_take(pool);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], (int)(i % 251), SIZE);
    }
    for (unsigned i = 0; i < MANY; i++) {
        for (unsigned j = 0; j < SIZE; j++) {
            assert_int_equal(blocks[i][j], i % 251);
        }
        pool_give(pool, blocks[i]);
    }
    pool_close(&pool);
    assert_null(pool);
    pool_close(&pool);
}

static void test_a_block_given_back_serves_again(void **state)
{
    struct pool *pool = pool_new(SIZE);
    void *first = pool_take(pool);
    void *second = pool_take(pool);

    (void)state;
    assert_ptr_not_equal(first, second);
    pool_give(pool, first);
    assert_ptr_equal(pool_take(pool), first);
    pool_give(pool, first);
    pool_give(pool, second);
    pool_close(&pool);
}

/* A sanitizer finds memory that is lost, or used when it is gone. */
static void test_blocks_outlive_the_pool(void **state)
{
    struct pool *pool = pool_new(SIZE);
    struct pool *same = pool;
    char *block = pool_take(pool);

    (void)state;
    pool_close(&pool);
    memset(block, 1, SIZE);
    assert_int_equal(block[SIZE - 1], 1);
    pool_give(same, block);
}

/* Takes and gives, each block marked as its own meanwhile; NULL if nobody else wrote there. */
static void *work(void *arg)
{
    struct pool *pool = arg;
    unsigned *mine[16];
    bool spoiled = false;

    for (unsigned round = 0; round < 2000; round++) {
        for (unsigned i = 0; i < 16; i++) {
            mine[i] = pool_take(pool);
            *mine[i] = round * 16 + i;
        }
        for (unsigned i = 0; i < 16; i++) {
            spoiled = spoiled || *mine[i] != round * 16 + i;
            pool_give(pool, mine[i]);
        }
    }
    return spoiled ? arg : NULL;
}

static void test_threads_share_a_pool(void **state)
{
    struct pool *pool = pool_new(SIZE);
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, pool), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *result = pool;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_do_not_overlap),
        cmocka_unit_test(test_a_block_given_back_serves_again),
        cmocka_unit_test(test_blocks_outlive_the_pool),
        cmocka_unit_test(test_threads_share_a_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
