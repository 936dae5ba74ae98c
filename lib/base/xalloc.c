/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/xalloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *block, size_t size)
{
    if (block == NULL) {
        fprintf(stderr, "postern: out of memory (%zu bytes wanted)\n", size);
        abort();
    }
    return block;
}

void *xmalloc(size_t size)
{
    size_t wanted = size == 0 ? 1 : size;

    return checked(malloc(wanted), wanted);
}

void *xcalloc(size_t count, size_t size)
{
    if (count == 0 || size == 0) {
        return checked(calloc(1, 1), 1);
    }
    return checked(calloc(count, size), size);
}

void *xrealloc(void *old, size_t size)
{
    size_t wanted = size == 0 ? 1 : size;

    return checked(realloc(old, wanted), wanted);
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t len)
{
    size_t real_len = strnlen(text, len);
    char *copy = xmalloc(real_len + 1);

    memcpy(copy, text, real_len);
    copy[real_len] = '\0';
    return copy;
}
