/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * arena - memory that is freed all at once.
 *
 * A session has one arena for what lives as long as the connection and one for the message; the
 * second is reset at each MAIL. Pieces are never freed one by one. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_BASE_ARENA_H
#define POSTERN_LIB_BASE_ARENA_H

#include <stddef.h>

struct arena;

/* A new empty arena; free it with arena_free(). */
struct arena *arena_new(void);

/* Frees the arena and all that came from it, and sets the caller's pointer to NULL. NULL is legal. */
void arena_free(struct arena **arena);

/* Forgets all that came from the arena; keeps its first block for the next use. */
void arena_reset(struct arena *arena);

/* Memory of `size` bytes, aligned for any type, not cleared. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));

/* Copies that live in the arena; both end in a NUL byte. */
char *arena_strdup(struct arena *arena, const char *text) __attribute__((returns_nonnull));
char *arena_strndup(struct arena *arena, const char *text, size_t len)
    __attribute__((returns_nonnull));

/* sprintf into the arena. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

#endif
