/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log_file - the lines of one file that somebody still writes to.
 *
 * What is read is bounded, whatever the file holds: longer lines are skipped, the NUL bytes at the head of a line (a hole, left by a
 * writer that goes on behind a truncation) are no part of it, CR LF is a line's end, and a line without an end is not there yet.
 *
 * A file is known again by its device and inode and by its first bytes: a file that was cut off, and is longer than before already,
 * has other ones.
 */
#ifndef POSTERN_CTL_LOG_FILE_H
#define POSTERN_CTL_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_FILE_BUFFER 16384u /* a longer line is skipped */
#define LOG_FILE_HEAD 256u

enum log_file_result {
    LOG_FILE_LINE,
    LOG_FILE_NO_MORE,   /* now */
    LOG_FILE_END,       /* of a pipe: for ever */
    LOG_FILE_TRUNCATED, /* what was read is gone */
    LOG_FILE_FAILED,    /* errno says why */
};

struct log_file {
    struct log_file *next;
    int fd; /* -1: it is gone, and only what was read of it is still worked on */
    dev_t dev;
    ino_t ino;
    bool is_pipe;     /* or read as one */
    int64_t born_ns;  /* log_rotated.h; 0: not known */
    int64_t seen_at;  /* when it last had the name of the log, Unix time */
    int64_t grown_at; /* when it last had something to read, in milliseconds since boot */
    int watch;        /* of inotify; -1: none */

    int64_t offset; /* behind what is in the buffer */
    char buffer[LOG_FILE_BUFFER];
    size_t begin;
    size_t end;
    bool is_skipping; /* the rest of a line that is too long or whose begin was not read */
    uint64_t long_lines;

    char head[LOG_FILE_HEAD];
    size_t head_len;

    /*
     * Nothing was read of it since it was empty: it may be copied and cut off again, and nobody sees it. What it was copied to meanwhile is younger
     * than the last copy that is known, which may be gone; 0: there is none, and `copied_ns` is when it was empty.
     */
    bool is_fresh;
    int64_t emptied_ns; /* when it was cut off, as far as it was looked at; 0: not yet */
    int64_t copied_ns;
    dev_t copy_dev;
    ino_t copy_ino;

    size_t pending;  /* lines that are still worked on */
    int64_t settled; /* what is before this offset needs not be read again, if there are any */
};

struct log_line {
    const char *text; /* until the next call for this file */
    size_t len;
    struct log_file *file;
    int64_t begin; /* in the file */
    int64_t end;   /* with what ends the line */
};

/* Takes the descriptor. It is read from `offset` on; if that is within a line, from the next one on. */
struct log_file *log_file_new(int fd, int64_t offset);

/* Closes and frees it; NULL is legal. */
void log_file_free(struct log_file **file);

/*
 * Of a fresh file: may there be copies of what was in it meanwhile? It was written to and cut off since this was asked last, or has its first
 * bytes, which are read, and are enough to know it by.
 */
bool log_file_may_have_copies(struct log_file *file);

enum log_file_result log_file_next(struct log_file *file, struct log_line *line_out);

/* What is there of a line without an end, behind LOG_FILE_NO_MORE or LOG_FILE_END. False: nothing. */
bool log_file_rest(struct log_file *file, struct log_line *line_out);

/* Forgets what is not read yet: goes on at the end as it is now. Returns how many bytes those were. */
int64_t log_file_skip(struct log_file *file);

/* Where to go on reading if all this is done anew: before the first line that is still worked on. */
int64_t log_file_place(const struct log_file *file);

/* A line is worked on until it is settled; lines are settled in their order. */
void log_file_hold(const struct log_line *line);
void log_file_settle(struct log_file *file, int64_t end);

/* The hash of the first `len` bytes of an open file. False: it has fewer. */
bool log_file_head_hash(int fd, size_t len, uint64_t *hash_out);

/* Does one open file begin like another one, as far as it goes? An empty one does. */
bool log_file_is_begin(int fd, int other_fd);

/* Does another open file begin with the same bytes as this one, and are they enough to tell? */
bool log_file_has_head(const struct log_file *file, int fd);

#endif
