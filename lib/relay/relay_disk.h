/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_disk - the files of a store while it is open: lock, journal and snapshots together.
 *
 * For one thread, the store's.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_DISK_H
#define POSTERN_LIB_RELAY_RELAY_DISK_H

#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "lib/relay/relay_index.h"
#include "lib/relay/relay_trouble.h"

#include <stdbool.h>

struct relay_disk;

/*
 * `wake` is called by another thread when relay_disk_tend() should be called. What is pointed to must live longer, but for `file`. The index is
 * what is in force: what is in it is what was committed.
 */
struct relay_disk *relay_disk_new(const char *file, struct relay_index *index,
                                  struct logger *logger, struct relay_trouble *trouble,
                                  void (*wake)(void *ctx), void *ctx);

/* Takes the lock and fills the index. False: `why` says why not; the index is empty; may be tried again. */
bool relay_disk_open(struct relay_disk *disk, struct strbuf *why);

/*
 * Appends lines of the journal. They count when relay_disk_commit() returns true: then they are on the disk, all that were
 * written since the commit before. If one of the two fails, none of them counts, and `why` says why.
 */
bool relay_disk_write(struct relay_disk *disk, const struct strbuf *lines, struct strbuf *why);
bool relay_disk_commit(struct relay_disk *disk, struct strbuf *why);

/* Sees after snapshots; to be called now and then, and after `wake`. */
void relay_disk_tend(struct relay_disk *disk);

/* Brings the snapshot up to date if there were changes, and gives all back. */
void relay_disk_close(struct relay_disk **disk);

#endif
