/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * logicalline - lines that can go on in the next one, as in the configuration files of Postfix.
 *
 * A line that starts with a blank goes on with the one before it. Empty lines and lines whose first text is `#` are left out,
 * also between the two. Blanks at the end do not count.
 */
#ifndef POSTERN_LIB_TABLE_LOGICALLINE_H
#define POSTERN_LIB_TABLE_LOGICALLINE_H

#include "lib/base/diag.h"
#include "lib/base/strbuf.h"
#include "lib/table/linereader.h"

#include <stdbool.h>
#include <stddef.h>

struct logicalline {
    struct linereader physical;
    struct strbuf text; /* the line that was given last; may be changed */
    unsigned number;    /* of its first physical line */
    char *ahead;        /* a physical line that was read too far; NULL: none */
    size_t ahead_len;
};

/* Begins with line 1 of `fd`; `fd` and `file` must outlive it. */
void logicalline_init(struct logicalline *lines, int fd, const char *file, struct diag *diag);
void logicalline_fini(struct logicalline *lines);

/*
 * The next line, into lines->text; it starts with a blank only if there was none before it to go on with. What is wrong is reported and left
 * out. False: no more; lines->physical.failed says whether reading failed.
 */
bool logicalline_next(struct logicalline *lines);

#endif
