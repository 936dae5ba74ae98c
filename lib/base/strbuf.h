/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * strbuf - text that grows.
 *
 * data is always a C string of len bytes (which may hold NUL bytes themselves when they were
 * appended by length). Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_BASE_STRBUF_H
#define POSTERN_LIB_BASE_STRBUF_H

#include <stddef.h>

struct strbuf {
    char *data;
    size_t len;
    size_t size;
};

/* An empty text in the caller's storage; strbuf_fini() gives its memory back. */
void strbuf_init(struct strbuf *buf);
void strbuf_fini(struct strbuf *buf);

/* Makes the text empty and keeps its memory. */
void strbuf_reset(struct strbuf *buf);

void strbuf_append(struct strbuf *buf, const char *text);
void strbuf_append_len(struct strbuf *buf, const char *text, size_t len);
void strbuf_append_char(struct strbuf *buf, char c);
void strbuf_appendf(struct strbuf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
