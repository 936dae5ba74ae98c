/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/linereader.h"

#include "lib/base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE 65536u
#define BOM "\xef\xbb\xbf"
#define BOM_LEN 3u

void linereader_init(struct linereader *reader, int fd, const char *file, size_t max_line,
                     struct diag *diag)
{
    *reader = (struct linereader){.fd = fd, .file = file, .max_line = max_line, .diag = diag};
    /* One byte more: the last line may have no end, and gets its NUL byte there. */
    reader->buffer = xmalloc(BUFFER_SIZE + 1);
}

void linereader_fini(struct linereader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

static bool is_stopped(const struct linereader *reader)
{
    return reader->stop != NULL && *reader->stop != 0;
}

/* Gets more bytes behind those that are there. False: there are none, or reading failed. */
static bool fill(struct linereader *reader)
{
    if (reader->begin > 0) {
        reader->end -= reader->begin;
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end);
        reader->begin = 0;
    }
    while (!reader->at_end) {
        if (is_stopped(reader)) {
            reader->failed = reader->at_end = true;
            break;
        }
        ssize_t got = read(reader->fd, reader->buffer + reader->end, BUFFER_SIZE - reader->end);

        if (got > 0) {
            reader->end += (size_t)got;
            return true;
        }
        if (got == 0) {
            reader->at_end = true;
        } else if (errno != EINTR) {
            diag_report(reader->diag, DIAG_ERROR, reader->file, 0, NULL, "cannot be read: %s",
                        strerror(errno));
            reader->failed = reader->at_end = true;
        }
    }
    return false;
}

/* Reports the line that is too long and drops it to its end. */
static void skip_long_line(struct linereader *reader)
{
    diag_report(reader->diag, DIAG_ERROR, reader->file, reader->number,
                "is the file a text? lines end in a newline", "the line is longer than %zu bytes",
                reader->max_line);
    for (;;) {
        char *newline = memchr(reader->buffer + reader->begin, '\n', reader->end - reader->begin);

        if (newline != NULL) {
            size_t next = (size_t)(newline - reader->buffer) + 1;

            reader->consumed += next - reader->begin;
            reader->begin = next;
            return;
        }
        reader->consumed += reader->end - reader->begin;
        reader->begin = reader->end;
        if (!fill(reader)) {
            return;
        }
    }
}

/*
 * Finds the next raw line: *len_out bytes at buffer + begin, without the newline. False: there is none. A line that is
 * too long has a length over max_line and is not complete.
 */
static bool find_line(struct linereader *reader, size_t *len_out)
{
    size_t searched = 0;

    for (;;) {
        char *from = reader->buffer + reader->begin;
        size_t there = reader->end - reader->begin;
        char *newline = memchr(from + searched, '\n', there - searched);

        if (newline != NULL) {
            *len_out = (size_t)(newline - from);
            return true;
        }
        /* max_line and a CR: what is longer need not be read to its end. */
        if (there > reader->max_line + 1) {
            *len_out = there;
            return true;
        }
        searched = there;
        if (!fill(reader)) {
            *len_out = reader->end - reader->begin;
            return !reader->failed && *len_out > 0;
        }
    }
}

static size_t cut_carriage_return(struct linereader *reader, char *line, size_t len)
{
    if (len == 0 || line[len - 1] != '\r') {
        return len;
    }
    if (!reader->told_crlf) {
        reader->told_crlf = true;
        diag_report(reader->diag, DIAG_WARNING, reader->file, reader->number,
                    "they are read as if they ended in LF", "lines end in CR LF");
    }
    return len - 1;
}

static bool has_nul(struct linereader *reader, const char *line, size_t len)
{
    if (memchr(line, '\0', len) == NULL) {
        return false;
    }
    diag_report(reader->diag, DIAG_ERROR, reader->file, reader->number,
                "is the file a text in UTF-8 or ASCII?", "the line holds a NUL byte");
    return true;
}

char *linereader_next(struct linereader *reader, size_t *len_out)
{
    size_t len;

    while (find_line(reader, &len)) {
        char *line = reader->buffer + reader->begin;

        reader->number++;
        if (reader->number == 1 && len >= BOM_LEN && memcmp(line, BOM, BOM_LEN) == 0) {
            reader->begin += BOM_LEN;
            reader->consumed += BOM_LEN;
            line += BOM_LEN;
            len -= BOM_LEN;
        }
        if (len > reader->max_line + 1) {
            skip_long_line(reader);
            continue;
        }
        bool ended = reader->begin + len < reader->end;

        line[len] = '\0';
        reader->begin += len + ended;
        reader->consumed += len + ended;
        len = cut_carriage_return(reader, line, len);
        line[len] = '\0';
        if (len > reader->max_line) {
            diag_report(reader->diag, DIAG_ERROR, reader->file, reader->number, NULL,
                        "the line is longer than %zu bytes", reader->max_line);
        } else if (!has_nul(reader, line, len)) {
            *len_out = len;
            return line;
        }
    }
    return NULL;
}
