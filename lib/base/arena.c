/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/arena.h"
#include "lib/base/xalloc.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_SIZE 2048u

struct block {
    struct block *next; /* older blocks */
    size_t size;
    size_t used;
    alignas(max_align_t) char data[];
};

struct arena {
    struct block *current;
};

static struct block *block_new(size_t size, struct block *next)
{
    struct block *block = xmalloc(sizeof(*block) + size);

    block->next = next;
    block->size = size;
    block->used = 0;
    return block;
}

struct arena *arena_new(void)
{
    struct arena *arena = xmalloc(sizeof(*arena));

    arena->current = block_new(ARENA_BLOCK_SIZE, NULL);
    return arena;
}

/* Frees all blocks but the oldest, which every arena has from the start. */
static void free_younger_blocks(struct arena *arena)
{
    while (arena->current->next != NULL) {
        struct block *older = arena->current->next;

        free(arena->current);
        arena->current = older;
    }
}

void arena_free(struct arena **arena)
{
    if (*arena == NULL) {
        return;
    }
    free_younger_blocks(*arena);
    free((*arena)->current);
    free(*arena);
    *arena = NULL;
}

void arena_reset(struct arena *arena)
{
    free_younger_blocks(arena);
    arena->current->used = 0;
}

/* What a piece of `size` bytes takes, so that the next one is aligned. */
static size_t rounded_up(size_t size)
{
    const size_t align = alignof(max_align_t);
    size_t rounded = (size + align - 1) / align * align;

    return rounded < size ? size : rounded;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = rounded_up(size);
    struct block *block = arena->current;

    if (block->size - block->used < rounded) {
        size_t wanted = rounded > ARENA_BLOCK_SIZE ? rounded : ARENA_BLOCK_SIZE;

        block = arena->current = block_new(wanted, block);
    }
    void *piece = block->data + block->used;

    block->used += rounded;
    return piece;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    struct block *block = arena->current;
    size_t room = block->size - block->used;
    char *text = block->data + block->used;
    va_list args;

    /* Most texts are short: written where they will stand, measured afterwards. */
    va_start(args, format);
    int len = vsnprintf(text, room, format, args);
    va_end(args);

    size_t size = len < 0 ? 1 : (size_t)len + 1;

    if (len >= 0 && rounded_up(size) <= room) {
        block->used += rounded_up(size);
        return text;
    }
    text = arena_alloc(arena, size);
    text[0] = '\0';
    va_start(args, format);
    (void)vsnprintf(text, size, format, args);
    va_end(args);
    return text;
}
