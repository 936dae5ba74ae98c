/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/log_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

/* A file that lost its name is let go when nothing was written to it for so long. */
#define KEEP_MS 60000

int64_t log_files_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t log_files_birth(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* which file systems go by */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void log_files_init(struct log_files *files, int inotify)
{
    *files = (struct log_files){.inotify = inotify};
    files->end = &files->first;
}

static void free_list(struct log_file *file)
{
    while (file != NULL) {
        struct log_file *next = file->next;

        log_file_free(&file);
        file = next;
    }
}

void log_files_fini(struct log_files *files)
{
    free_list(files->first);
    free_list(files->ghosts);
    log_files_init(files, -1);
}

static void watch_file(const struct log_files *files, struct log_file *file)
{
    char path[64];

    if (files->inotify >= 0 && !file->is_pipe) {
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
        file->watch = inotify_add_watch(files->inotify, path, IN_MODIFY);
    }
}

static void close_file(const struct log_files *files, struct log_file *file)
{
    if (file->watch >= 0) {
        (void)inotify_rm_watch(files->inotify, file->watch);
        file->watch = -1;
    }
    if (file->fd > STDERR_FILENO) {
        (void)close(file->fd);
    }
    file->fd = -1;
}

struct log_file *log_files_add(struct log_files *files, int fd, int64_t offset)
{
    struct log_file *file = log_file_new(fd, offset);

    file->seen_at = (int64_t)time(NULL);
    file->grown_at = log_files_now();
    watch_file(files, file);
    *files->end = file;
    files->end = &file->next;
    files->count++;
    return file;
}

void log_files_replace(struct log_files *files, struct log_file *file, struct log_rotated *other,
                       int64_t offset)
{
    close_file(files, file);
    file->fd = other->fd;
    file->dev = other->dev;
    file->ino = other->ino;
    file->born_ns = other->born_ns;
    file->offset = offset;
    file->begin = file->end = 0;
    other->fd = -1;
    watch_file(files, file);
}

size_t log_files_add_rotated(struct log_files *files, struct log_rotated *found, size_t count,
                             int log_fd)
{
    size_t added = 0;

    for (size_t i = 0; i < count && files->count < LOG_FILES_MAX; i++) {
        if (found[i].fd < 0 || log_files_has(files, found[i].dev, found[i].ino) ||
            log_files_has_copy(files, found[i].fd) ||
            (log_fd >= 0 && log_file_is_begin(found[i].fd, log_fd))) {
            continue;
        }
        log_files_add(files, found[i].fd, 0)->born_ns = found[i].born_ns;
        found[i].fd = -1;
        added++;
    }
    return added;
}

void log_files_set_fresh(struct log_file *file, int64_t since_ns)
{
    file->is_fresh = true;
    file->emptied_ns = 0;
    file->copied_ns = since_ns;
    file->copy_ino = 0;
}

/* The youngest copy that is known. */
static void note_copy(struct log_file *file, const struct log_rotated *copy)
{
    file->copied_ns = copy->born_ns;
    file->copy_dev = copy->dev;
    file->copy_ino = copy->ino;
}

struct log_file *log_files_add_cut_off(struct log_files *files, int fd, struct log_rotated *found,
                                       size_t count, int64_t since_ns)
{
    size_t known = count;

    (void)log_files_add_rotated(files, found, count, fd);
    while (known > 0 && !log_files_has(files, found[known - 1].dev, found[known - 1].ino)) {
        known--;
    }
    struct log_file *file = log_files_add(files, fd, 0);

    log_files_set_fresh(file, since_ns);
    if (known > 0) {
        note_copy(file, &found[known - 1]);
    }
    return file;
}

static void insert_before(struct log_files *files, struct log_file *file, struct log_rotated *other)
{
    struct log_file **link = &files->first;
    struct log_file *copy = log_file_new(other->fd, 0);

    copy->born_ns = other->born_ns;
    copy->seen_at = file->seen_at;
    copy->grown_at = log_files_now();
    watch_file(files, copy);
    while (*link != file) {
        link = &(*link)->next;
    }
    copy->next = file;
    *link = copy;
    files->count++;
    other->fd = -1;
}

size_t log_files_add_copies(struct log_files *files, struct log_file *file,
                            struct log_rotated *found, size_t count)
{
    size_t begin = 0;
    size_t added = 0;

    for (size_t i = 0; i < count; i++) {
        if (file->copy_ino != 0 && found[i].ino == file->copy_ino &&
            found[i].dev == file->copy_dev) {
            begin = i + 1;
        }
    }
    for (size_t i = begin; i < count && files->count < LOG_FILES_MAX; i++) {
        /* Behind the copy of what the file holds now, which may not be complete, there are only later ones. */
        if (log_file_has_head(file, found[i].fd) || log_file_is_begin(found[i].fd, file->fd)) {
            break;
        }
        if (!log_files_has(files, found[i].dev, found[i].ino) &&
            !log_files_has_copy(files, found[i].fd)) {
            insert_before(files, file, &found[i]);
            added++;
        }
        note_copy(file, &found[i]);
    }
    return added;
}

void log_files_drop(struct log_files *files, struct log_file *file)
{
    struct log_file **link = &files->first;

    while (*link != file) {
        link = &(*link)->next;
    }
    *link = file->next;
    if (files->end == &file->next) {
        files->end = link;
    }
    files->count--;
    files->long_lines += file->long_lines;
    close_file(files, file);
    file->next = files->ghosts;
    files->ghosts = file;
}

void log_files_bury(struct log_files *files)
{
    for (struct log_file **link = &files->ghosts; *link != NULL;) {
        struct log_file *file = *link;

        if (file->pending > 0) {
            link = &file->next;
        } else {
            *link = file->next;
            log_file_free(&file);
        }
    }
}

void log_files_let_go(struct log_files *files)
{
    int64_t now = log_files_now();
    struct log_file *next;

    for (struct log_file *file = files->first; file != NULL && file->next != NULL; file = next) {
        next = file->next;
        if (file->pending == 0 &&
            (now - file->grown_at > KEEP_MS || files->count > LOG_FILES_MAX / 2)) {
            log_files_drop(files, file);
        }
    }
}

struct log_file *log_files_newest(const struct log_files *files)
{
    struct log_file *file = files->first;

    while (file != NULL && file->next != NULL) {
        file = file->next;
    }
    return file;
}

bool log_files_has(const struct log_files *files, dev_t dev, ino_t ino)
{
    for (const struct log_file *file = files->first; file != NULL; file = file->next) {
        if (file->dev == dev && file->ino == ino) {
            return true;
        }
    }
    return false;
}

bool log_files_has_copy(const struct log_files *files, int fd)
{
    for (const struct log_file *file = files->first; file != NULL; file = file->next) {
        if (log_file_has_head(file, fd)) {
            return true;
        }
    }
    return false;
}

uint64_t log_files_long_lines(const struct log_files *files)
{
    uint64_t count = files->long_lines;

    for (const struct log_file *file = files->first; file != NULL; file = file->next) {
        count += file->long_lines;
    }
    return count;
}
