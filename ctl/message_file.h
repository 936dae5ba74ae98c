/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * message_file - a message (RFC 5322) in a file, taken apart as an MTA does it before it tells a filter of it.
 */
#ifndef POSTERN_CTL_MESSAGE_FILE_H
#define POSTERN_CTL_MESSAGE_FILE_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"

#include <stddef.h>

#define MESSAGE_FILE_MAX (64u * 1024u * 1024u) /* bytes */

struct message_field {
    const char *name;
    const char *value; /* all that stands behind the colon; folded lines joined by "\n" */
};

struct message_file {
    char *text; /* owns what the others point to */
    struct message_field *fields;
    size_t field_count;
    const char *
        body; /* behind the empty line, or from the first line on that is no header; NULL: no file was read */
    size_t body_len;
};

/*
 * The fields `headers` ("Name: value" each), then those of the file; `path` "-" is standard input, NULL no file. Lines end in LF or
 * CR LF; a first line "From ..." of a mailbox is left out. Not STATUS_OK: *why says what is wrong. Free with
 * message_file_fini(), which is legal for a zeroed one.
 */
enum status message_file_read(const char *path, const char *const *headers, size_t header_count,
                              struct message_file *message_out, struct strbuf *why);
void message_file_fini(struct message_file *message);

#endif
