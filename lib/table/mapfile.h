/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapfile - text that people edit, compiled into a GDBM map that lookups read.
 *
 * One reader of lines for all kinds of maps; what a key and a right-hand side may be is the format's knowledge
 * (access_map, spammers_map). The map is written beside the old one and renamed into place: whoever reads sees the
 * old map or the new one, never half of one. Any error leaves the old map as it is.
 */
#ifndef POSTERN_LIB_TABLE_MAPFILE_H
#define POSTERN_LIB_TABLE_MAPFILE_H

#include "lib/base/diag.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/mail/netaddr.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* A longer line is an error. */
#define MAPFILE_MAX_LINE 4096u

struct mapfile_prefixes;

/*
 * One line of the text, cut at the first blank behind the key. Both texts end in a NUL byte and hold none,
 * and nothing of it lives longer than the call.
 */
struct mapfile_line {
    const char *file; /* for diag_report() */
    unsigned number;
    const char *key; /* as written, never empty, no blank in it */
    size_t key_len;
    const char
        *value; /* as written, without the blanks around it, or the format's default; never empty */
    size_t value_len;
    struct strbuf
        *stored_key; /* empty; the format writes the key that lookups will ask for, in any case */
    struct mapfile_prefixes *prefixes; /* for mapfile_note_prefix() */
    struct diag *diag;                 /* errors and warnings go here, with hints */
};

/*
 * What kind of map it is. `check` looks at one line and writes line->stored_key, which is then folded to lower case. It returns
 * STATUS_OK: store it; STATUS_NOTFOUND: the line is legal and has nothing to store; STATUS_INVALID: it is wrong, and
 * at least one error was reported. The right-hand side is stored as written.
 */
struct mapfile_format {
    const char *name;          /* "access"; kept in the map */
    const char *default_value; /* of a line that is a key alone; NULL: such a line is an error */
    enum status (*check)(const struct mapfile_line *line);
};

/*
 * To be called by `check` for each key that is a network: remembers its prefix length, so that lookups ask for networks of
 * this length too. Whole octets (IPv4) and groups (IPv6) need not be remembered; giving them does no harm.
 */
void mapfile_note_prefix(const struct mapfile_line *line, const struct netaddr *network);

/* One map to make. Members that are 0 or NULL have the default. */
struct mapfile_job {
    const struct mapfile_format *format;
    const char *map_path;    /* what is written, "/etc/postern/access.gdbm" */
    const char *source_path; /* the text; its name goes into the map */
    bool from_fd;            /* read source_fd (standard input, not closed), not source_path */
    int source_fd;
    const char *shown_name; /* of the text in messages; default: source_path, or "-" with from_fd */

    /* Called now and then with what is done, 0 to 1; below 0 if the length of the input is not known. */
    void (*progress)(void *ctx, double fraction);
    void *progress_ctx;

    /* Set from elsewhere (a signal handler): stop soon, leave everything as it was. */
    const volatile sig_atomic_t *stop;
};

struct mapfile_result {
    size_t lines;
    size_t entries;
    size_t duplicates; /* keys that were there already; the first one counts */
};

/*
 * Makes the map. STATUS_INVALID: the text has errors, all of which were reported. STATUS_TEMPFAIL: reading or writing
 * failed, or it was stopped; reported too (a stop is not). In both cases the old map is untouched and nothing is left behind. Waits
 * while another process makes the same map. The new map has owner, group and mode of the old one; if there is none, of
 * the text; if there is no text either, mode 0640 and the group of its folder.
 */
enum status mapfile_build(const struct mapfile_job *job, struct diag *diag,
                          struct mapfile_result *result_out);

/*
 * Was the map at `map_path` made from the text as it is now (same name, size and time), by this version and for this
 * format? If not, `why` (may be NULL) is told: "is missing", "is older than its text", ...
 */
bool mapfile_is_current(const char *map_path, const char *source_path,
                        const struct mapfile_format *format, struct strbuf *why);

#endif
