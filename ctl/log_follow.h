/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log_follow - the lines of a log, while it is written to, renamed, cut off, removed and made anew.
 *
 * A file that lost its name is read to its end, and beyond: who writes to it may learn later that there is a new one. If the log was
 * rotated several times between two looks, the files in between are found beside it. If it was copied and cut off, the rest is read in the
 * copy. Files that are old already when they get the name of the log are read from their end: what they tell is not new.
 *
 * One thread; nothing waits here: log_follow_wait_fd() says when it pays to look again.
 */
#ifndef POSTERN_CTL_LOG_FOLLOW_H
#define POSTERN_CTL_LOG_FOLLOW_H

#include "ctl/log_file.h"
#include "lib/base/log.h"
#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

struct log_follow;

enum log_follow_result {
    LOG_FOLLOW_LINE,
    LOG_FOLLOW_NO_MORE, /* now */
    LOG_FOLLOW_END,     /* of standard input */
};

/*
 * Follows the log of this path, which need not be there; "-": standard input. Nothing is read before one of the three calls that say from
 * where on.
 */
struct log_follow *log_follow_new(const char *path, struct logger *logger);
void log_follow_free(struct log_follow **follow);

/* From the first byte of the file as it is (or of the pipe). */
void log_follow_from_start(struct log_follow *follow);

/* From its end. Returns how many bytes that leaves out. */
int64_t log_follow_from_end(struct log_follow *follow);

/*
 * From where log_follow_save() was called, into whatever the files of that time were renamed since. False, and nothing is changed: `text`
 * is none of its texts, or belongs to another log.
 */
bool log_follow_restore(struct log_follow *follow, const char *text);

/* Appends where to go on: before the first line that is held (log_file.h). */
void log_follow_save(const struct log_follow *follow, struct strbuf *out);

enum log_follow_result log_follow_next(struct log_follow *follow, struct log_line *line_out);

/*
 * How old the next line can be at most, in milliseconds: the time since there was no more to read, and nothing that could not be read. It counts from log_follow_restore()'s text,
 * too.
 */
int64_t log_follow_age(const struct log_follow *follow);

/* Goes on at the end of all files, as they are now. Returns how many bytes that leaves out. */
int64_t log_follow_skip(struct log_follow *follow);

/* Becomes readable when there may be something new; -1: nothing tells, look now and then. */
int log_follow_wait_fd(const struct log_follow *follow);

/* How long to wait at most, in milliseconds, before looking again. */
int log_follow_wait_ms(const struct log_follow *follow);

/* Lines that were too long to be read. */
uint64_t log_follow_long_lines(const struct log_follow *follow);

#endif
