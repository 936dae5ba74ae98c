/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/pool.h"

#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__has_include)
#    if __has_include(<sanitizer/asan_interface.h>)
#        include <sanitizer/asan_interface.h>
#    endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#    define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#    define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* No block shares a line of the processor's cache with another one. */
#define LINE 64u

#define SLAB_BYTES (64u * 1024u)

struct spare {
    struct spare *next;
};

/* Begins a slab; blocks follow, from the next line on. */
struct slab {
    struct slab *next;
};

struct pool {
    pthread_mutex_t mutex; /* of all below */
    size_t size;           /* of a block */
    struct spare *spare;
    struct slab *slabs;
    size_t taken;
    bool closed;
};

struct pool *pool_new(size_t size)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));

    (void)pthread_mutex_init(&pool->mutex, NULL);
    pool->size = (size + LINE - 1) / LINE * LINE;
    return pool;
}

static void free_all(struct pool *pool)
{
    while (pool->slabs != NULL) {
        struct slab *slab = pool->slabs;

        pool->slabs = slab->next;
        ASAN_UNPOISON_MEMORY_REGION(slab, SLAB_BYTES);
        free(slab);
    }
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void pool_close(struct pool **pool_ptr)
{
    struct pool *pool = *pool_ptr;

    *pool_ptr = NULL;
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->mutex);
    pool->closed = true;
    bool last = pool->taken == 0;

    (void)pthread_mutex_unlock(&pool->mutex);
    if (last) {
        free_all(pool);
    }
}

/* Who does not get it may not touch it: a sanitizer sees to that, if there is one. */
static void put_spare(struct pool *pool, void *block)
{
    struct spare *spare = block;

    spare->next = pool->spare;
    pool->spare = spare;
    ASAN_POISON_MEMORY_REGION(block, pool->size);
}

static void add_slab(struct pool *pool)
{
    struct slab *slab = xmalloc(SLAB_BYTES);
    char *first = (char *)(((uintptr_t)(slab + 1) + LINE - 1) / LINE * LINE);
    size_t count = (size_t)((char *)slab + SLAB_BYTES - first) / pool->size;

    slab->next = pool->slabs;
    pool->slabs = slab;
    while (count-- > 0) {
        put_spare(pool, first + count * pool->size);
    }
}

void *pool_take(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    if (pool->spare == NULL) {
        add_slab(pool);
    }
    struct spare *spare = pool->spare;

    ASAN_UNPOISON_MEMORY_REGION(spare, pool->size);
    pool->spare = spare->next;
    pool->taken++;
    (void)pthread_mutex_unlock(&pool->mutex);
    return spare;
}

void pool_give(struct pool *pool, void *block)
{
    (void)pthread_mutex_lock(&pool->mutex);
    put_spare(pool, block);
    pool->taken--;
    bool last = pool->closed && pool->taken == 0;

    (void)pthread_mutex_unlock(&pool->mutex);
    if (last) {
        free_all(pool);
    }
}
