/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * background - a daemon in the old way: detached from its terminal, with a pid file.
 */
#ifndef POSTERN_MILTER_BACKGROUND_H
#define POSTERN_MILTER_BACKGROUND_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"

/*
 * Goes on in a child. The parent waits until background_ready() and ends with status 0, or with that of the child
 * if it ends before. Returns in the child only; *ready_out is for background_ready(). Call it before any thread is started.
 */
enum status background_start(int *ready_out, struct strbuf *why);

/* Lets the parent end and closes standard input, output and error. */
void background_ready(int ready);

struct pid_file {
    char *path;
    int fd;
};

/*
 * Writes the pid. The file is locked as long as the process lives: one that is there and not locked is left over. If
 * another process has it, `why` says which.
 */
enum status pid_file_create(struct pid_file *file, const char *path, struct strbuf *why);

/* Removes the file; legal if none was created (fd -1). */
void pid_file_remove(struct pid_file *file);

#endif
