/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * diag - what is wrong with a file, told to a person.
 *
 * Readers of configuration and rule files report every error and warning here, with file, line and a hint
 * what to do; the caller decides where they go (terminal, log, JSON). Nothing is printed by the reader itself.
 */
#ifndef POSTERN_LIB_BASE_DIAG_H
#define POSTERN_LIB_BASE_DIAG_H

#include <stddef.h>

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag_item {
    enum diag_level level;
    const char *file; /* never NULL; "-" is standard input */
    unsigned line;    /* 0: the file as a whole */
    const char *text; /* what is wrong */
    const char *hint; /* what to do; NULL: the text says it */
};

/* Called for each item, in file order; the strings live until it returns. */
typedef void diag_sink(void *ctx, const struct diag_item *item);

struct diag {
    diag_sink *sink;
    void *ctx;
    size_t errors; /* counted here, whatever the sink does */
    size_t warnings;
};

/* A diag that gives each item to `sink` (NULL: only counts). */
void diag_init(struct diag *diag, diag_sink *sink, void *ctx);

/* Reports one item; `hint` may be NULL. */
void diag_report(struct diag *diag, enum diag_level level, const char *file, unsigned line,
                 const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Writes `file:line: error: text (hint)` and a newline to the FILE that is ctx: a sink for a terminal. */
void diag_to_stream(void *ctx, const struct diag_item *item);

#endif
