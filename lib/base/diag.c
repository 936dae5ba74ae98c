/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/diag.h"
#include "lib/base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>

#define DIAG_MAX_TEXT 1024

void diag_init(struct diag *diag, diag_sink *sink, void *ctx)
{
    *diag = (struct diag){.sink = sink, .ctx = ctx};
}

void diag_report(struct diag *diag, enum diag_level level, const char *file, unsigned line,
                 const char *hint, const char *format, ...)
{
    char text[DIAG_MAX_TEXT];
    va_list args;

    if (level == DIAG_ERROR) {
        diag->errors++;
    } else {
        diag->warnings++;
    }
    if (diag->sink == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    diag->sink(diag->ctx, &(struct diag_item){level, file, line, text, hint});
}

void diag_to_stream(void *ctx, const struct diag_item *item)
{
    FILE *stream = ctx;
    struct strbuf line;

    strbuf_init(&line);
    strbuf_append(&line, item->file);
    if (item->line > 0) {
        strbuf_appendf(&line, ":%u", item->line);
    }
    strbuf_appendf(&line, ": %s: %s", item->level == DIAG_ERROR ? "error" : "warning", item->text);
    if (item->hint != NULL) {
        strbuf_appendf(&line, "; %s", item->hint);
    }
    /* A rule file is data: what it holds must not steer the reader's terminal. */
    for (size_t i = 0; i < line.len; i++) {
        if ((unsigned char)line.data[i] < ' ' || line.data[i] == 0x7f) {
            line.data[i] = '?';
        }
    }
    fprintf(stream, "%s\n", line.data);
    strbuf_fini(&line);
}
