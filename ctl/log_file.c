/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/log_file.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fewer bytes than these are the same in many files: a date, and the name of the host. */
#define HEAD_ENOUGH 64u

static size_t read_head(int fd, char *head, size_t len)
{
    ssize_t got = pread(fd, head, len, 0);

    return got > 0 ? (size_t)got : 0;
}

static bool is_within_line(int fd, int64_t offset)
{
    char last = '\n';

    return offset > 0 && pread(fd, &last, 1, offset - 1) == 1 && last != '\n';
}

struct log_file *log_file_new(int fd, int64_t offset)
{
    struct log_file *file = xcalloc(1, sizeof(*file));
    struct stat st;

    file->fd = fd;
    file->watch = -1;
    file->offset = offset;
    if (fstat(fd, &st) == 0) {
        file->dev = st.st_dev;
        file->ino = st.st_ino;
        file->is_pipe = !S_ISREG(st.st_mode);
    }
    if (!file->is_pipe) {
        file->is_skipping = is_within_line(fd, offset);
        file->head_len = read_head(fd, file->head,
                                   offset < LOG_FILE_HEAD ? (size_t)offset : LOG_FILE_HEAD);
    }
    return file;
}

void log_file_free(struct log_file **file)
{
    if (*file == NULL) {
        return;
    }
    if ((*file)->fd > STDERR_FILENO) {
        (void)close((*file)->fd);
    }
    free(*file);
    *file = NULL;
}

/* Are the first bytes what they were? Learns those that came since. */
static bool is_same_head(struct log_file *file)
{
    char head[LOG_FILE_HEAD];
    size_t want = file->offset < LOG_FILE_HEAD ? (size_t)file->offset : LOG_FILE_HEAD;
    size_t got = read_head(file->fd, head, want);

    if (got < file->head_len || memcmp(head, file->head, file->head_len) != 0) {
        return false;
    }
    (void)memcpy(file->head, head, got);
    file->head_len = got;
    return true;
}

static enum log_file_result read_pipe(struct log_file *file)
{
    struct pollfd poll_fd = {.fd = file->fd, .events = POLLIN};
    ssize_t got;

    if (poll(&poll_fd, 1, 0) <= 0) {
        return LOG_FILE_NO_MORE;
    }
    do {
        got = read(file->fd, file->buffer + file->end, sizeof(file->buffer) - file->end);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return got == 0                                  ? LOG_FILE_END
               : errno == EAGAIN || errno == EWOULDBLOCK ? LOG_FILE_NO_MORE
                                                         : LOG_FILE_FAILED;
    }
    file->end += (size_t)got;
    file->offset += got;
    return LOG_FILE_LINE;
}

/* Takes the bytes at the head from those that were read: the file may have been cut off since. */
static void learn_head(struct log_file *file, size_t got)
{
    file->head_len = got < LOG_FILE_HEAD ? got : LOG_FILE_HEAD;
    (void)memcpy(file->head, file->buffer, file->head_len);
}

/* Reads on. LOG_FILE_LINE: there is more in the buffer. */
static enum log_file_result read_more(struct log_file *file)
{
    struct stat st;
    ssize_t got;

    if (file->fd < 0) {
        return LOG_FILE_NO_MORE;
    }
    if (file->is_pipe) {
        return read_pipe(file);
    }
    do {
        got = pread(file->fd, file->buffer + file->end, sizeof(file->buffer) - file->end,
                    file->offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0 || fstat(file->fd, &st) != 0) {
        return LOG_FILE_FAILED;
    }
    /* After the bytes were read: what is cut off in between is not taken for the old text. */
    if (file->offset == 0) {
        learn_head(file, (size_t)got);
    } else if (st.st_size < file->offset || !is_same_head(file)) {
        return LOG_FILE_TRUNCATED;
    }
    file->end += (size_t)got;
    file->offset += got;
    return got > 0 ? LOG_FILE_LINE : LOG_FILE_NO_MORE;
}

/* Makes room behind what is there of a line. */
static void make_room(struct log_file *file)
{
    while (file->begin < file->end && file->buffer[file->begin] == '\0') {
        file->begin++;
    }
    if (file->begin > 0) {
        (void)memmove(file->buffer, file->buffer + file->begin, file->end - file->begin);
        file->end -= file->begin;
        file->begin = 0;
    }
    if (file->is_skipping) {
        file->end = 0;
    } else if (file->end == sizeof(file->buffer)) {
        file->is_skipping = true;
        file->long_lines++;
        file->end = 0;
    }
}

/* The line that ends at `newline`. False: it is the rest of one that was skipped. */
static bool take_line(struct log_file *file, char *newline, struct log_line *line_out)
{
    int64_t base = file->offset - (int64_t)file->end;
    char *text = file->buffer + file->begin;
    bool is_rest = file->is_skipping;

    line_out->file = file;
    line_out->begin = base + (int64_t)file->begin;
    file->begin = (size_t)(newline - file->buffer) + 1;
    line_out->end = base + (int64_t)file->begin;
    file->is_skipping = false;
    while (text < newline && *text == '\0') {
        text++;
    }
    if (newline > text && newline[-1] == '\r') {
        newline--;
    }
    line_out->text = text;
    line_out->len = (size_t)(newline - text);
    return !is_rest;
}

/* Was it cut off again? */
static bool is_emptied(struct log_file *file)
{
    struct stat st;

    if (file->fd < 0 || file->is_pipe || fstat(file->fd, &st) != 0 || st.st_size != 0) {
        return false;
    }
    int64_t emptied_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    bool is_again = emptied_ns != file->emptied_ns;

    file->emptied_ns = emptied_ns;
    return is_again;
}

bool log_file_may_have_copies(struct log_file *file)
{
    if (file->offset == 0 && read_more(file) != LOG_FILE_LINE) {
        return is_emptied(file);
    }
    return file->head_len >= HEAD_ENOUGH;
}

enum log_file_result log_file_next(struct log_file *file, struct log_line *line_out)
{
    for (;;) {
        char *newline = memchr(file->buffer + file->begin, '\n', file->end - file->begin);

        if (newline != NULL) {
            if (take_line(file, newline, line_out)) {
                return LOG_FILE_LINE;
            }
            continue;
        }
        make_room(file);
        enum log_file_result result = read_more(file);

        if (result != LOG_FILE_LINE) {
            return result;
        }
    }
}

bool log_file_rest(struct log_file *file, struct log_line *line_out)
{
    bool is_there = file->begin < file->end && !file->is_skipping;

    *line_out = (struct log_line){file->buffer + file->begin, file->end - file->begin, file,
                                  file->offset - (int64_t)(file->end - file->begin), file->offset};
    file->begin = file->end;
    return is_there;
}

static int64_t skip_pipe(struct log_file *file)
{
    int64_t bytes = (int64_t)(file->end - file->begin);

    file->begin = file->end = 0;
    while (read_pipe(file) == LOG_FILE_LINE) {
        bytes += (int64_t)file->end;
        file->is_skipping = file->buffer[file->end - 1] != '\n';
        file->end = 0;
    }
    return bytes;
}

int64_t log_file_skip(struct log_file *file)
{
    int64_t unread = file->offset - (int64_t)(file->end - file->begin);
    struct stat st;

    if (file->fd < 0) {
        return 0;
    }
    if (file->is_pipe) {
        return skip_pipe(file);
    }
    if (fstat(file->fd, &st) != 0) {
        return 0;
    }
    file->begin = file->end = 0;
    file->offset = st.st_size;
    file->is_skipping = is_within_line(file->fd, st.st_size);
    file->head_len = read_head(file->fd, file->head, LOG_FILE_HEAD);
    return st.st_size > unread ? st.st_size - unread : 0;
}

int64_t log_file_place(const struct log_file *file)
{
    return file->pending > 0 ? file->settled : file->offset - (int64_t)(file->end - file->begin);
}

void log_file_hold(const struct log_line *line)
{
    if (line->file->pending++ == 0) {
        line->file->settled = line->begin;
    }
}

void log_file_settle(struct log_file *file, int64_t end)
{
    file->pending--;
    file->settled = end;
}

bool log_file_head_hash(int fd, size_t len, uint64_t *hash_out)
{
    char head[LOG_FILE_HEAD];

    if (len > sizeof(head) || read_head(fd, head, len) < len) {
        return false;
    }
    *hash_out = hash64(head, len, 0);
    return true;
}

bool log_file_is_begin(int fd, int other_fd)
{
    char head[LOG_FILE_HEAD];
    char other[LOG_FILE_HEAD];
    size_t len = read_head(fd, head, sizeof(head));

    return read_head(other_fd, other, len) == len && memcmp(head, other, len) == 0;
}

bool log_file_has_head(const struct log_file *file, int fd)
{
    char head[LOG_FILE_HEAD];

    return file->head_len >= HEAD_ENOUGH && read_head(fd, head, file->head_len) == file->head_len &&
           memcmp(head, file->head, file->head_len) == 0;
}
