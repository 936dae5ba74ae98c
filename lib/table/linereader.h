/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * linereader - the lines of a text file, checked for what no text should hold.
 *
 * A byte order mark is skipped, CR LF line ends are accepted with one warning, the last line needs no end. Lines that are
 * too long or hold a NUL byte are reported and left out. Reads files, pipes and terminals alike.
 */
#ifndef POSTERN_LIB_TABLE_LINEREADER_H
#define POSTERN_LIB_TABLE_LINEREADER_H

#include "lib/base/diag.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct linereader {
    int fd;           /* not owned */
    const char *file; /* for messages */
    struct diag *diag;
    size_t max_line;
    const volatile sig_atomic_t *stop; /* NULL: never */

    unsigned number;   /* of the line that was given last, from 1 */
    uint64_t consumed; /* bytes of the lines given so far */
    bool failed;       /* reading failed (reported) or was stopped (not reported) */

    char *buffer;
    size_t begin;
    size_t end;
    bool at_end;
    bool told_crlf;
};

/* Begins with line 1 at the file's place now; `fd` and `file` must outlive the reader. */
void linereader_init(struct linereader *reader, int fd, const char *file, size_t max_line,
                     struct diag *diag);
void linereader_fini(struct linereader *reader);

/* The next line without its end; it ends in a NUL byte and may be changed until the next call. NULL: no more, see `failed`. */
char *linereader_next(struct linereader *reader, size_t *len_out);

#endif
