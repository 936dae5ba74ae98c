/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/newfile.h"

#include "lib/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".new"
#define DEFAULT_MODE 0640u
#define MODE_MASK 0666u
#define GROUP_MODE 0070u

static void tell(struct strbuf *why, const char *path, const char *what)
{
    strbuf_appendf(why, "%s: %s: %s", path, what, strerror(errno));
}

/* The folder of a path; free() it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return xstrdup(".");
    }
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* Is the open file the one that has the name now? */
static bool is_same_file(int fd, const char *path)
{
    struct stat open_stat;
    struct stat path_stat;

    return fstat(fd, &open_stat) == 0 && lstat(path, &path_stat) == 0 &&
           open_stat.st_dev == path_stat.st_dev && open_stat.st_ino == path_stat.st_ino;
}

/* Waits for the lock; a signal whose handler sets *stop ends the wait. */
static bool lock(int fd, const char *path, const volatile sig_atomic_t *stop, struct strbuf *why)
{
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            tell(why, path, "cannot be locked");
            return false;
        }
        if (stop != NULL && *stop != 0) {
            return false;
        }
    }
    return true;
}

/*
 * Waits until whoever works on an existing file is done with it. If he has not renamed it by then, he is dead, and the
 * file is removed.
 */
static bool wait_for_other(const char *path, const volatile sig_atomic_t *stop, struct strbuf *why)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        if (errno == ENOENT) {
            return true;
        }
        tell(why, path, "is in the way");
        return false;
    }
    bool done = lock(fd, path, stop, why);

    if (done && is_same_file(fd, path) && unlink(path) != 0) {
        tell(why, path, "is in the way and cannot be removed");
        done = false;
    }
    close(fd);
    return done;
}

/* A new file under the name, locked; -1 on failure. */
static int create_locked(const char *path, const volatile sig_atomic_t *stop, struct strbuf *why)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd >= 0) {
            if (!lock(fd, path, stop, why)) {
                (void)unlink(path);
                close(fd);
                return -1;
            }
            /* Between open and lock another writer may have taken the file for a dead one's. */
            if (is_same_file(fd, path)) {
                return fd;
            }
            close(fd);
        } else if (errno != EEXIST) {
            tell(why, path, "cannot be created");
            return -1;
        } else if (!wait_for_other(path, stop, why)) {
            return -1;
        }
    }
}

/* Who may read the file, see newfile_create(). */
static bool set_owner(const struct newfile *file, const char *model, struct strbuf *why)
{
    struct stat wanted;
    struct stat own;

    if (stat(file->target, &wanted) != 0 && (model == NULL || stat(model, &wanted) != 0)) {
        char *folder = folder_of(file->target);
        int found = stat(folder, &wanted);

        free(folder);
        if (found != 0) {
            tell(why, file->target, "its folder cannot be read");
            return false;
        }
        wanted.st_uid = geteuid();
        wanted.st_mode = DEFAULT_MODE;
    }
    mode_t mode = wanted.st_mode & MODE_MASK;

    if (fchown(file->fd, wanted.st_uid, wanted.st_gid) != 0 &&
        fchown(file->fd, (uid_t)-1, wanted.st_gid) != 0 && fstat(file->fd, &own) == 0 &&
        own.st_gid != wanted.st_gid) {
        mode &= ~(mode_t)GROUP_MODE;
    }
    if (fchmod(file->fd, mode | S_IRUSR | S_IWUSR) != 0) {
        tell(why, file->path, "cannot be given its mode");
        return false;
    }
    return true;
}

bool newfile_create(struct newfile *file, const char *target, const char *model,
                    const volatile sig_atomic_t *stop, struct strbuf *why)
{
    struct strbuf path;

    strbuf_init(&path);
    strbuf_append(&path, target);
    strbuf_append(&path, SUFFIX);
    *file = (struct newfile){.path = xstrdup(path.data), .target = xstrdup(target)};
    strbuf_fini(&path);

    file->fd = create_locked(file->path, stop, why);
    if (file->fd < 0) {
        free(file->path);
        free(file->target);
        return false;
    }
    if (!set_owner(file, model, why)) {
        newfile_abandon(file);
        return false;
    }
    return true;
}

/* After a crash of the machine the new name must be there too. */
static bool sync_folder(const char *target, struct strbuf *why)
{
    char *folder = folder_of(target);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);

    if (!done) {
        tell(why, folder, "cannot be synced");
    }
    if (fd >= 0) {
        close(fd);
    }
    free(folder);
    return done;
}

static void forget(struct newfile *file)
{
    close(file->fd);
    free(file->path);
    free(file->target);
    *file = (struct newfile){.fd = -1};
}

bool newfile_commit(struct newfile *file, struct strbuf *why)
{
    if (fsync(file->fd) != 0) {
        tell(why, file->path, "cannot be written");
        newfile_abandon(file);
        return false;
    }
    if (rename(file->path, file->target) != 0) {
        tell(why, file->target, "cannot be replaced");
        newfile_abandon(file);
        return false;
    }
    bool done = sync_folder(file->target, why);

    forget(file);
    return done;
}

void newfile_abandon(struct newfile *file)
{
    (void)unlink(file->path);
    forget(file);
}
