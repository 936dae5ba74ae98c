/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_replay - does again what a journal says, after a start.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REPLAY_H
#define POSTERN_LIB_RELAY_RELAY_REPLAY_H

#include "lib/relay/relay_files.h"
#include "lib/relay/relay_index.h"

#include <stdbool.h>
#include <stdint.h>

struct relay_replay {
    bool absent;         /* there is no such file */
    uint64_t lines;      /* done */
    uint64_t bad;        /* that could not be read and stand before others that could */
    uint64_t first_bad;  /* the number of the first of them */
    const char *bad_why; /* what is wrong with it */
    uint64_t good_bytes; /* up to the last line that counts */
    uint64_t torn_bytes; /* behind it: after a crash, of changes that nobody was told are done */
    uint64_t torn_lines; /* whole lines among them: that is no crash, but damage */
};

/*
 * Does all that the journal says, and skips lines that are damaged. A replacement that has not got its end is not done, unless something
 * follows that was appended later. False: it cannot be read; `why` says why.
 */
bool relay_replay(const struct relay_files *files, const char *path, struct relay_index *index,
                  struct relay_replay *report_out, struct strbuf *why);

/* The same for lines in memory; what follows the last newline is torn. */
void relay_replay_text(const char *text, size_t len, struct relay_index *index,
                       struct relay_replay *report_out);

#endif
