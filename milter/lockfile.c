/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(int fd, int error)
{
    (void)close(fd);
    errno = error;
    return -1;
}

/* Who had the lock before may have removed the name since the file was opened. */
static bool still_named(const char *path, const struct stat *opened)
{
    struct stat named;

    return lstat(path, &named) == 0 && opened->st_dev == named.st_dev &&
           opened->st_ino == named.st_ino;
}

int lockfile_acquire(const char *path, mode_t mode, int *busy_out)
{
    *busy_out = -1;
    for (;;) {
        struct stat opened;
        /* A link or a pipe that somebody put there in advance must lead nowhere and block nobody. */
        int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);

        if (fd < 0) {
            return -1;
        }
        if (fstat(fd, &opened) != 0) {
            return fail(fd, errno);
        }
        if (!S_ISREG(opened.st_mode) || opened.st_nlink > 1) {
            return fail(fd, EINVAL);
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) {
                return fail(fd, errno);
            }
            *busy_out = fd;
            return -1;
        }
        if (still_named(path, &opened)) {
            return fd;
        }
        (void)close(fd);
    }
}

void lockfile_release(const char *path, int fd)
{
    if (unlink(path) != 0 && ftruncate(fd, 0) != 0) {
        /* The folder is root's: a file without a lock misleads nobody. */
    }
    (void)close(fd);
}
