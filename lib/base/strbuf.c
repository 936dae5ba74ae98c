/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRBUF_FIRST_SIZE 64u

void strbuf_init(struct strbuf *buf)
{
    buf->size = STRBUF_FIRST_SIZE;
    buf->data = xmalloc(buf->size);
    buf->data[0] = '\0';
    buf->len = 0;
}

void strbuf_fini(struct strbuf *buf)
{
    free(buf->data);
    buf->data = NULL;
    buf->len = buf->size = 0;
}

void strbuf_reset(struct strbuf *buf)
{
    buf->len = 0;
    buf->data[0] = '\0';
}

/* Room for `more` bytes and the NUL byte. */
static void reserve(struct strbuf *buf, size_t more)
{
    size_t wanted = buf->len + more + 1;

    if (wanted <= buf->size) {
        return;
    }
    buf->size = wanted > buf->size * 2 ? wanted : buf->size * 2;
    buf->data = xrealloc(buf->data, buf->size);
}

void strbuf_append_len(struct strbuf *buf, const char *text, size_t len)
{
    reserve(buf, len);
    memcpy(buf->data + buf->len, text, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void strbuf_append(struct strbuf *buf, const char *text)
{
    strbuf_append_len(buf, text, strlen(text));
}

void strbuf_append_char(struct strbuf *buf, char c)
{
    reserve(buf, 1);
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

void strbuf_appendf(struct strbuf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len <= 0) {
        return;
    }
    reserve(buf, (size_t)len);
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}
