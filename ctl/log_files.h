/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log_files - the files of one log that are read: the one that has its name, and before it those that had it.
 */
#ifndef POSTERN_CTL_LOG_FILES_H
#define POSTERN_CTL_LOG_FILES_H

#include "ctl/log_file.h"
#include "ctl/log_rotated.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_FILES_MAX 128u

struct log_files {
    struct log_file *first; /* oldest first; the last one has, or had, the name */
    struct log_file **end;
    struct log_file *ghosts; /* closed, but lines of them are still worked on */
    size_t count;
    int inotify;         /* -1: there is none */
    uint64_t long_lines; /* of files that are gone */
};

/* Milliseconds since boot. */
int64_t log_files_now(void);

/* The time that a file would get that is made now: log_rotated.h. */
int64_t log_files_birth(void);

void log_files_init(struct log_files *files, int inotify);

/* Frees all of them, whatever is still worked on. */
void log_files_fini(struct log_files *files);

/* It is empty since then: log_file.h. */
void log_files_set_fresh(struct log_file *file, int64_t since_ns);

/* Adds a file at the end, to be read from `offset` on; takes the descriptor. */
struct log_file *log_files_add(struct log_files *files, int fd, int64_t offset);

/* Lets the descriptor of another file, which is taken out of it, take the place of a file's own. */
void log_files_replace(struct log_files *files, struct log_file *file, struct log_rotated *other,
                       int64_t offset);

/*
 * Adds those that are not there yet, to be read from their start, and takes their descriptors: none that is a copy of one that is read, or of
 * the log, which is open as `log_fd` (-1: it is not asked for). Returns how many were added.
 */
size_t log_files_add_rotated(struct log_files *files, struct log_rotated *found, size_t count,
                             int log_fd);

/*
 * Adds the log itself, which was cut off, and before it what it was copied to since: `found` are its copies that are younger, the one where the
 * text of before goes on first; none if that is not known. `since_ns` is when it was seen that it was cut off.
 */
struct log_file *log_files_add_cut_off(struct log_files *files, int fd, struct log_rotated *found,
                                       size_t count, int64_t since_ns);

/* Of a fresh file: adds before it what it was copied to meanwhile. Returns how many. */
size_t log_files_add_copies(struct log_files *files, struct log_file *file,
                            struct log_rotated *found, size_t count);

/* Closes it and takes it out. It lives on as a ghost while lines of it are worked on. */
void log_files_drop(struct log_files *files, struct log_file *file);

/* Frees the ghosts of which no line is worked on any more. */
void log_files_bury(struct log_files *files);

/* Lets files go that lost their name and were not written to for a while. */
void log_files_let_go(struct log_files *files);

/* The file that has, or had, the name; NULL: there is none. */
struct log_file *log_files_newest(const struct log_files *files);

bool log_files_has(const struct log_files *files, dev_t dev, ino_t ino);

/* Does it begin like one of them? Then it is one that was copied: what it tells is known. */
bool log_files_has_copy(const struct log_files *files, int fd);

/* Lines that were too long. */
uint64_t log_files_long_lines(const struct log_files *files);

#endif
