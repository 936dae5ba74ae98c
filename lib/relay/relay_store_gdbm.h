/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_store_gdbm - all entries of a store in a GDBM file, as it was at one moment.
 *
 * The key is the address as text, the value begins with the decimal timestamp. The file is never changed: a newer one takes its place. So whoever
 * reads it with gdbmtool disturbs nobody, and a crash leaves the one or the other.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_STORE_GDBM_H
#define POSTERN_LIB_RELAY_RELAY_STORE_GDBM_H

#include "lib/relay/relay_files.h"
#include "lib/relay/relay_index.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_snapshot {
    bool absent;      /* there is no file */
    uint64_t bytes;   /* its size */
    size_t entries;   /* read */
    size_t bad;       /* records that are no entries, left out */
    char bad_key[64]; /* the first of them, and what is wrong with it */
    const char *bad_why;
    bool damaged;     /* not all of it could be read */
    size_t recovered; /* read only after a repair */
    bool wasteful;    /* most of it is free space */
};

/*
 * Reads all entries and puts them into the index. If it is damaged and `may_repair`, it is repaired in a copy, and read there: the file itself stays as it
 * is until the next snapshot, which sets it aside. `why` says what is wrong with a damaged one. False: it cannot be opened at all (rights,
 * not a file).
 */
bool relay_store_gdbm_read(const struct relay_files *files, bool may_repair,
                           struct relay_index *index, struct relay_snapshot *report_out,
                           struct strbuf *why);

/* How a file is written. */
struct relay_store_gdbm_manner {
    const char *aside;       /* the present file keeps this name; NULL: it goes */
    const atomic_bool *stop; /* gives up when it becomes true; may be NULL */
    bool is_gentle;          /* takes breaks, so that nobody who asks waits for the processor */
};

/*
 * Writes all entries and puts the file in the place of the old one. Owner and mode are kept; a first one is the folder's owner's.
 * Questions and changes may go on. False: `why` says why not, and the old one is as it was; `why` is empty if it was stopped.
 */
bool relay_store_gdbm_write(const struct relay_files *files, const struct relay_index *index,
                            const struct relay_store_gdbm_manner *manner, uint64_t *bytes_out,
                            struct strbuf *why);

#endif
