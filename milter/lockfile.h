/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lockfile - a file that one process has at a time; left-over ones are taken over.
 */
#ifndef POSTERN_MILTER_LOCKFILE_H
#define POSTERN_MILTER_LOCKFILE_H

#include <sys/types.h>

/*
 * Opens (or creates) and locks a plain file; waits a second for another process to let go. The lock ends with the process or with lockfile_release(). -1 and errno: EWOULDBLOCK
 * if another process has it, then *busy_out is a descriptor to read from (the caller closes it), else -1.
 */
int lockfile_acquire(const char *path, mode_t mode, int *busy_out);

/* Removes the file and gives the lock back. */
void lockfile_release(const char *path, int fd);

#endif
