/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * newfile - a file that takes the place of another one at once, or not at all.
 *
 * It is written as NAME.new beside its target, under a lock that lasts until it is renamed or given up: two writers of
 * the same target take turns. What a killed writer left is removed by the next one.
 */
#ifndef POSTERN_LIB_TABLE_NEWFILE_H
#define POSTERN_LIB_TABLE_NEWFILE_H

#include "lib/base/strbuf.h"

#include <signal.h>
#include <stdbool.h>

struct newfile {
    int fd;     /* for writing; open until commit or abandon */
    char *path; /* NAME.new */
    char *target;
};

/*
 * Creates the file, empty, with owner, group and mode of the target; if there is none, those of `model` (NULL: none);
 * if there is none either, mode 0640 and the group of the folder. Only root can give a file away: where that fails, the
 * file is the caller's own, and a group that cannot be set loses its rights. Waits for another writer. False: `why`
 * says what is wrong; it stays empty if *stop ended the wait.
 */
bool newfile_create(struct newfile *file, const char *target, const char *model,
                    const volatile sig_atomic_t *stop, struct strbuf *why);

/* Brings it to the disk and renames it. In any case the structure is done with; on failure nothing is left behind. */
bool newfile_commit(struct newfile *file, struct strbuf *why);

/* Removes it; the target is as it was. */
void newfile_abandon(struct newfile *file);

#endif
