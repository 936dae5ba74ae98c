/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_loader - fills an empty index from the files of a store, and says in the log what was wrong with them.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_LOADER_H
#define POSTERN_LIB_RELAY_RELAY_LOADER_H

#include "lib/base/log.h"
#include "lib/relay/relay_files.h"
#include "lib/relay/relay_index.h"

#include <stdbool.h>
#include <stdint.h>

struct relay_loaded {
    bool has_file;
    uint64_t snapshot_bytes;
    bool has_journal;       /* one of the two */
    uint64_t journal_bytes; /* that count; what is behind them is to be cut off */
    bool has_old_journal;
    bool must_fold; /* the file on the disk should be written anew */
    char *
        aside; /* the file is damaged: the name that it is to be kept under; else NULL. free() it */
};

/*
 * Reads snapshot and journals. `may_change`: damaged files are repaired, or copied before anything in them is lost; else nothing on the disk changes.
 * False: they cannot be read; `why` says why.
 */
bool relay_loader_load(const struct relay_files *files, bool may_change, struct relay_index *index,
                       struct logger *logger, struct relay_loaded *loaded_out, struct strbuf *why);

#endif
