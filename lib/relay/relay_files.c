/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_files.h"

#include "lib/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODE 0640
#define ASIDE_TRIES 100u
#define LOCK_TRIES 10u
#define COPY_SIZE 65536u

static void tell(struct strbuf *why, const char *path, const char *what)
{
    strbuf_appendf(why, "%s: %s: %s", path, what, strerror(errno));
}

static char *join(const char *path, const char *suffix)
{
    struct strbuf joined;

    strbuf_init(&joined);
    strbuf_append(&joined, path);
    strbuf_append(&joined, suffix);
    return joined.data;
}

void relay_files_init(struct relay_files *files, const char *file)
{
    const char *slash = strrchr(file, '/');

    files->file = xstrdup(file);
    if (slash == NULL) {
        files->folder = xstrdup(".");
    } else {
        files->folder = slash == file ? xstrdup("/") : xstrndup(file, (size_t)(slash - file));
    }
    files->journal = join(file, ".journal");
    files->old_journal = join(file, ".journal.old");
    files->new_journal = join(file, ".journal.new");
    files->repair = join(file, ".repair");
    files->lock = join(file, ".lock");
}

void relay_files_fini(struct relay_files *files)
{
    free(files->folder);
    free(files->file);
    free(files->journal);
    free(files->old_journal);
    free(files->new_journal);
    free(files->repair);
    free(files->lock);
}

/* ---- opening ---- */

/* May it be trusted? `writable`: what is written there must reach no other name. */
static bool is_ours(int fd, const struct stat *folder, const char *path, bool writable,
                    struct strbuf *why)
{
    struct stat own;

    if (fstat(fd, &own) != 0) {
        tell(why, path, "cannot be looked at");
        return false;
    }
    if (!S_ISREG(own.st_mode)) {
        strbuf_appendf(why, "%s: is not an ordinary file", path);
        return false;
    }
    if (own.st_uid != 0 && own.st_uid != geteuid() && own.st_uid != folder->st_uid) {
        strbuf_appendf(why, "%s: belongs to user %u; give it to the owner of its folder (user %u)",
                       path, (unsigned)own.st_uid, (unsigned)folder->st_uid);
        return false;
    }
    if (writable && own.st_nlink > 1) {
        strbuf_appendf(why, "%s: has a second name (a hard link); remove one of them", path);
        return false;
    }
    return true;
}

/* Opens what is there, or (created) makes it; -1 with errno. */
static int open_or_create(const char *path, enum relay_files_mode mode, bool *created_out)
{
    /* NONBLOCK: a pipe under that name must not stop us. */
    int flags = (mode == RELAY_FILES_READ ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK |
                O_CLOEXEC;
    int fd = open(path, flags);

    *created_out = false;
    if (fd < 0 && errno == ENOENT && mode == RELAY_FILES_CREATE) {
        fd = open(path, flags | O_CREAT | O_EXCL, MODE);
        *created_out = fd >= 0;
        if (fd < 0 && errno == EEXIST) {
            fd = open(path, flags);
        }
    }
    return fd;
}

int relay_files_open(const struct relay_files *files, const char *path, enum relay_files_mode mode,
                     bool *absent_out, struct strbuf *why)
{
    struct stat folder;
    bool created;

    if (absent_out != NULL) {
        *absent_out = false;
    }
    if (stat(files->folder, &folder) != 0) {
        tell(why, files->folder, "the folder of the store cannot be used");
        return -1;
    }
    int fd = open_or_create(path, mode, &created);

    if (fd < 0) {
        if (absent_out != NULL) {
            *absent_out = errno == ENOENT;
        }
        if (errno == ELOOP) {
            strbuf_appendf(why, "%s: is a symbolic link; name the file itself", path);
        } else {
            tell(why, path,
                 mode == RELAY_FILES_CREATE ? "cannot be opened or created" : "cannot be opened");
        }
        return -1;
    }
    if (created && (fchmod(fd, MODE) != 0 ||
                    (geteuid() == 0 && fchown(fd, folder.st_uid, folder.st_gid) != 0))) {
        tell(why, path, "cannot be given to the owner of its folder");
        (void)unlink(path);
        close(fd);
        return -1;
    }
    if (!is_ours(fd, &folder, path, mode != RELAY_FILES_READ, why)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- the lock ---- */

bool relay_files_is_current(int fd, const char *path)
{
    struct stat open_stat;
    struct stat path_stat;

    return fstat(fd, &open_stat) == 0 && lstat(path, &path_stat) == 0 &&
           open_stat.st_dev == path_stat.st_dev && open_stat.st_ino == path_stat.st_ino;
}

int relay_files_lock(const struct relay_files *files, struct strbuf *why)
{
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        int fd = relay_files_open(files, files->lock, RELAY_FILES_CREATE, NULL, why);

        if (fd < 0) {
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) {
                strbuf_appendf(why, "%s: another process has it", files->file);
            } else {
                tell(why, files->lock, "cannot be locked");
            }
            close(fd);
            return -1;
        }
        /* Somebody may have removed it between open and lock. */
        if (relay_files_is_current(fd, files->lock)) {
            return fd;
        }
        close(fd);
    }
    strbuf_appendf(why, "%s: is removed again and again", files->lock);
    return -1;
}

/* ---- names ---- */

bool relay_files_sync_folder(const struct relay_files *files, struct strbuf *why)
{
    int fd = open(files->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* EINVAL: a file system that has nothing to sync there. */
    bool done = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);

    if (!done) {
        tell(why, files->folder, "cannot be synced");
    }
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

/* Returns 0 or errno. */
static int copy_bytes(int from, int to)
{
    char buf[COPY_SIZE];
    ssize_t len;

    while ((len = read(from, buf, sizeof(buf))) != 0) {
        for (ssize_t done = 0; done < len;) {
            ssize_t now = write(to, buf + done, (size_t)(len - done));

            if (now < 0 && errno != EINTR) {
                return errno;
            }
            done += now > 0 ? now : 0;
        }
        if (len < 0 && errno != EINTR) {
            return errno;
        }
    }
    return fsync(to) == 0 ? 0 : errno;
}

bool relay_files_copy(const struct relay_files *files, const char *from, const char *to,
                      struct strbuf *why)
{
    int in = relay_files_open(files, from, RELAY_FILES_READ, NULL, why);

    if (in < 0) {
        return false;
    }
    (void)unlink(to);

    int out = relay_files_open(files, to, RELAY_FILES_CREATE, NULL, why);
    int failed = out < 0 ? -1 : copy_bytes(in, out);

    if (failed > 0) {
        strbuf_appendf(why, "%s: cannot be written: %s", to, strerror(failed));
    }
    if (failed != 0) {
        (void)unlink(to);
    }
    if (out >= 0) {
        close(out);
    }
    close(in);
    return failed == 0;
}

char *relay_files_aside(const char *path)
{
    time_t now = time(NULL);
    struct tm utc;
    char date[32] = "";
    struct strbuf name;

    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &utc);
    }
    strbuf_init(&name);
    for (unsigned number = 0;; number++) {
        struct stat ignored;

        strbuf_reset(&name);
        strbuf_appendf(&name, "%s.damaged-%s", path, date);
        if (number > 0) {
            strbuf_appendf(&name, "-%u", number);
        }
        if (number == ASIDE_TRIES || lstat(name.data, &ignored) != 0) {
            return name.data;
        }
    }
}
