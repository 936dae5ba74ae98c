/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_files - the files of a store, and the lock that one process has on them.
 *
 * A file that is not what it should be (a symbolic link, a device, somebody else's) is refused: a command of root must not be led
 * elsewhere by the user whom the folder belongs to. What root creates is given to the folder's owner, so that the daemon can go on with it.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_FILES_H
#define POSTERN_LIB_RELAY_RELAY_FILES_H

#include "lib/base/strbuf.h"

#include <stdbool.h>

struct relay_files {
    char *folder;
    char *file;    /* the snapshot */
    char *journal; /* FILE.journal: what changed since then */
    char *
        old_journal; /* FILE.journal.old: what changed before a snapshot began that is not finished */
    char *new_journal; /* FILE.journal.new: a journal that is not in use yet */
    char *repair;      /* FILE.repair: a copy that is being repaired */
    char *lock;        /* FILE.lock */
};

void relay_files_init(struct relay_files *files, const char *file);
void relay_files_fini(struct relay_files *files);

enum relay_files_mode {
    RELAY_FILES_READ,   /* for reading */
    RELAY_FILES_WRITE,  /* for reading and writing */
    RELAY_FILES_CREATE, /* the same, and it is made if it is not there */
};

/*
 * Opens one of them. -1: `why` says why not; if it is not there, *absent_out (may be NULL) is true.
 */
int relay_files_open(const struct relay_files *files, const char *path, enum relay_files_mode mode,
                     bool *absent_out, struct strbuf *why);

/* The lock; -1: another process has it (then `why` says that), or it cannot be had. Closing the descriptor gives it back. */
int relay_files_lock(const struct relay_files *files, struct strbuf *why);

/* Is the open file still the one of that name? */
bool relay_files_is_current(int fd, const char *path);

/* Makes created, renamed and removed names durable. */
bool relay_files_sync_folder(const struct relay_files *files, struct strbuf *why);

/* Copies a file, byte by byte; `to` is made anew. False: there is no copy, and `why` says why. */
bool relay_files_copy(const struct relay_files *files, const char *from, const char *to,
                      struct strbuf *why);

/* PATH.damaged-DATE, a name that is free; free() it. */
char *relay_files_aside(const char *path);

#endif
