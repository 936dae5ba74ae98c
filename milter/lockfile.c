/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A predecessor that was killed, or is just ending, gets this long to let go. */
#define WAIT_MS 1000
#define WAIT_STEP_MS 50

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

/* One attempt. -2: the file was replaced meanwhile, try again. */
static int attempt(const char *path, mode_t mode, int *busy_out)
{
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
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        if (still_named(path, &opened)) {
            return fd;
        }
        (void)close(fd);
        return -2;
    }
    if (errno != EWOULDBLOCK) {
        return fail(fd, errno);
    }
    *busy_out = fd;
    return -1;
}

int lockfile_acquire(const char *path, mode_t mode, int *busy_out)
{
    *busy_out = -1;
    for (int waited = 0;; waited += WAIT_STEP_MS) {
        int fd = attempt(path, mode, busy_out);

        if (fd >= 0 || (fd == -1 && (*busy_out < 0 || waited >= WAIT_MS))) {
            return fd;
        }
        if (*busy_out >= 0) {
            (void)close(*busy_out);
            *busy_out = -1;
            (void)poll(NULL, 0, WAIT_STEP_MS);
        }
    }
}

void lockfile_release(const char *path, int fd)
{
    if (unlink(path) != 0 && ftruncate(fd, 0) != 0) {
        /* The folder is root's: a file without a lock misleads nobody. */
    }
    (void)close(fd);
}
