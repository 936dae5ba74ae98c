/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log - one line per event, in logfmt: `key=value key="two words"`.
 *
 * A logger is made once by the program and passed to whoever logs; lib/ keeps none for itself.
 * Lines from several threads never mix. What a client sent is data: log_field() quotes it so that
 * no control character, quote or newline of it can break a line or forge a field.
 */
#ifndef POSTERN_LIB_BASE_LOG_H
#define POSTERN_LIB_BASE_LOG_H

#include "lib/base/strbuf.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target {
    LOG_TARGET_STDERR, /* each line as it is; with a syslog priority `<N>` when journald reads it */
    LOG_TARGET_SYSLOG,
};

struct logger;

/*
 * A logger; `ident` must outlive it. facility: a syslog facility name ("mail", "local0", ...), see
 * log_facility_known(). Only one logger with LOG_TARGET_SYSLOG may exist in a process.
 */
struct logger *log_new(enum log_target target, const char *ident, const char *facility,
                       enum log_level level);
void log_free(struct logger **logger);

/*
 * From now on a thread writes what is logged, so that nobody waits for a disk or a syslog daemon: see logqueue.h. False: there is no
 * thread to be had, and each line is written by whoever logs it, as before. log_free() writes what is left, for two seconds at most.
 */
bool log_start_thread(struct logger *logger);

/* Waits until all that was logged is written, two seconds at most; NULL is legal. */
void log_flush(struct logger *logger);

/*
 * For the handler of a fatal signal: writes the lines that the thread has not yet come to, if they go to standard error. Takes no
 * lock and no memory.
 */
void log_crash(const struct logger *logger);

/* Changes level and facility; safe while other threads log. */
void log_configure(struct logger *logger, const char *facility, enum log_level level);

bool log_facility_known(const char *name);

/* "error", "warning", "info", "debug"; false if `name` is none of them. */
bool log_level_parse(const char *name, enum log_level *level_out);

/* Is a line of this level written at all? Cheap: ask before building a line. */
bool log_enabled(const struct logger *logger, enum log_level level);

/*
 * Writes one line; a NULL logger writes nothing. Safe for threads. With a thread, lines are on their way within 10 ms, warnings and
 * errors at once.
 */
void log_line(struct logger *logger, enum log_level level, const char *line);
void log_printf(struct logger *logger, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Appends ` key=value` (without the blank at the start of a line). A value that is empty or holds blanks, quotes, '='
 * or control characters is quoted; control characters and bytes that are not valid UTF-8 become \xNN. Values
 * longer than 512 bytes are cut and end in "...". A NULL value appends nothing.
 */
void log_field(struct strbuf *line, const char *key, const char *value);
void log_field_uint(struct strbuf *line, const char *key, unsigned long value);

#endif
