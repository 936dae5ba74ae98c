/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/listener.h"
#include "lib/base/xalloc.h"
#include "milter/lockfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_BACKLOG 512 /* all processes of a mail server may come at once */

void listener_init(struct listener *listener)
{
    *listener = (struct listener){.lock = -1};
}

static bool fill_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path)) {
        return false;
    }
    (void)memcpy(address->sun_path, path, strlen(path) + 1);
    return true;
}

/* ---- lock ---- */

static enum status take_lock(struct listener *listener, struct strbuf *why)
{
    size_t size = strlen(listener->path) + sizeof(".lock");
    int busy = -1;

    listener->lock_path = xmalloc(size);
    (void)snprintf(listener->lock_path, size, "%s.lock", listener->path);
    listener->lock = lockfile_acquire(listener->lock_path, 0600, &busy);
    if (listener->lock >= 0) {
        return STATUS_OK;
    }
    if (busy >= 0) {
        (void)close(busy);
        strbuf_appendf(why, "%s: another postern uses this socket (it has locked %s)",
                       listener->path, listener->lock_path);
    } else {
        strbuf_appendf(why, "%s: cannot create the lock: %s", listener->lock_path, strerror(errno));
    }
    return STATUS_INVALID;
}

/* ---- what lies at the path ---- */

/* 0: somebody answers; else the errno of the attempt. */
static int try_connect(const char *path)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || !fill_address(path, &address)) {
        int error = fd < 0 ? errno : ENAMETOOLONG;

        if (fd >= 0) {
            (void)close(fd);
        }
        return error;
    }
    int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;

    (void)close(fd);
    return error;
}

static enum status clear_path(const char *path, struct strbuf *why)
{
    struct stat there;

    if (lstat(path, &there) != 0) {
        if (errno == ENOENT) {
            return STATUS_OK;
        }
        strbuf_appendf(why, "%s: %s", path, strerror(errno));
        return STATUS_INVALID;
    }
    if (!S_ISSOCK(there.st_mode)) {
        strbuf_appendf(why, "%s: exists and is not a socket; remove it or choose another path",
                       path);
        return STATUS_INVALID;
    }
    int error = try_connect(path);

    switch (error) {
    case ECONNREFUSED: /* left over: nobody listens */
        if (unlink(path) == 0 || errno == ENOENT) {
            return STATUS_OK;
        }
        strbuf_appendf(why, "%s: cannot remove the left-over socket: %s", path, strerror(errno));
        return STATUS_INVALID;
    case ENOENT:
        return STATUS_OK;
    case 0:
    case EAGAIN: /* its queue is full */
        strbuf_appendf(why, "%s: another program answers on this socket; stop it first", path);
        return STATUS_INVALID;
    default:
        strbuf_appendf(why, "%s: cannot find out whether the socket is in use: %s", path,
                       strerror(error));
        return STATUS_INVALID;
    }
}

/* ---- open and close ---- */

enum status listener_prepare(struct listener *listener, const char *path, struct strbuf *why)
{
    struct sockaddr_un address;

    if (path[0] != '/' || !fill_address(path, &address)) {
        strbuf_appendf(why, "%s: the path of a socket is absolute and has at most %zu bytes", path,
                       sizeof(address.sun_path) - 1);
        return STATUS_INVALID;
    }
    listener->path = xstrdup(path);
    if (take_lock(listener, why) == STATUS_OK && clear_path(path, why) == STATUS_OK) {
        return STATUS_OK;
    }
    listener_close(listener);
    return STATUS_INVALID;
}

enum status listener_adopt(struct listener *listener, gid_t group, struct strbuf *why)
{
    struct stat made;

    if (lstat(listener->path, &made) != 0) {
        strbuf_appendf(why, "%s: %s", listener->path, strerror(errno));
        return STATUS_INVALID;
    }
    listener->device = made.st_dev;
    listener->inode = made.st_ino;
    if (group != (gid_t)-1 && lchown(listener->path, (uid_t)-1, group) != 0) {
        strbuf_appendf(why, "%s: cannot give the socket to its group: %s", listener->path,
                       strerror(errno));
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

enum status listener_open(struct listener *listener, const char *path, mode_t mode, gid_t group,
                          int *fd_out, struct strbuf *why)
{
    struct sockaddr_un address;

    *fd_out = -1;
    if (listener_prepare(listener, path, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode is there from the first moment on; chmod(2) would come too late and follow links. */
    mode_t old = umask((mode_t)~mode & 0777);
    bool bound = fd >= 0 && fill_address(path, &address) &&
                 bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    int error = errno;

    (void)umask(old);
    if (!bound) {
        strbuf_appendf(why, "%s: cannot create the socket: %s", path, strerror(error));
    } else if (listener_adopt(listener, group, why) != STATUS_OK) {
        bound = false;
    } else if (listen(fd, LISTENER_BACKLOG) != 0) {
        strbuf_appendf(why, "%s: %s", path, strerror(errno));
        bound = false;
    }
    if (bound) {
        *fd_out = fd;
        return STATUS_OK;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    listener_close(listener);
    return STATUS_INVALID;
}

void listener_close(struct listener *listener)
{
    struct stat there;

    if (listener->inode != 0 && lstat(listener->path, &there) == 0 &&
        there.st_dev == listener->device && there.st_ino == listener->inode) {
        (void)unlink(listener->path);
    }
    if (listener->lock >= 0) {
        lockfile_release(listener->lock_path, listener->lock);
    }
    free(listener->lock_path);
    free(listener->path);
    listener_init(listener);
}
