/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * listener - a unix socket that only one daemon has at a time.
 *
 * A lock file beside the socket keeps two that start at once apart. A socket that nobody answers on is left over and is
 * removed; one that somebody answers on, or a file of another kind, never.
 */
#ifndef POSTERN_MILTER_LISTENER_H
#define POSTERN_MILTER_LISTENER_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <sys/types.h>

struct listener {
    char *path; /* NULL: no unix socket */
    char *lock_path;
    int lock;
    dev_t device; /* of the socket that was made: nobody else's is ever removed */
    ino_t inode;
};

/* Nothing is listened on. */
void listener_init(struct listener *listener);

/*
 * Makes `path` ready to be bound: takes the lock and removes a left-over socket. STATUS_INVALID: `why` says who is in the way
 * or what failed.
 */
enum status listener_prepare(struct listener *listener, const char *path, struct strbuf *why);

/* After bind(): gives the socket to `group` (-1: leave it) and remembers it for listener_close(). */
enum status listener_adopt(struct listener *listener, gid_t group, struct strbuf *why);

/* Prepares, binds with `mode`, adopts and listens; the descriptor in *fd_out does not block. */
enum status listener_open(struct listener *listener, const char *path, mode_t mode, gid_t group,
                          int *fd_out, struct strbuf *why);

/* Removes the socket, if it still is the one that was made, and gives the lock back. */
void listener_close(struct listener *listener);

#endif
