/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pool - blocks of one size, for what threads make and give back by the ten thousand.
 *
 * What lives long among much that does not leaves the memory of malloc() full of holes, and everybody's memory is then spread over far more
 * of it. Blocks of a pool lie side by side, away from all else. A pool never shrinks: it holds what was needed at its peak, which its user
 * bounds. All functions may be called by any thread.
 */
#ifndef POSTERN_LIB_BASE_POOL_H
#define POSTERN_LIB_BASE_POOL_H

#include <stddef.h>

struct pool;

/* For blocks of `size` bytes; what they hold is up to the user, and aligned for anything. */
struct pool *pool_new(size_t size) __attribute__((returns_nonnull));

/* Nothing more is taken from it; its memory goes when the last block is back. Sets the caller's pointer to NULL; NULL is legal. */
void pool_close(struct pool **pool);

/* A block that nobody else has; its bytes are not set. */
void *pool_take(struct pool *pool) __attribute__((returns_nonnull));

/* Gives a block of this pool back. */
void pool_give(struct pool *pool, void *block);

#endif
