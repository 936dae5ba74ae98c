/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mime_scanner - finds the headers that lie in the body of a message: those of its MIME parts, and those of messages
 * attached to it (RFC 2045, RFC 2046).
 *
 * The body comes in pieces of any size. What is found, and where a broken message is taken to begin a header, is what
 * Postfix's cleanup finds by default; so is the memory: a header of MIME_SCANNER_HEADER_MAX bytes, and
 * MIME_SCANNER_DEPTH_MAX boundaries of MIME_SCANNER_BOUNDARY_MAX bytes, whatever a client sends. Bodies are not
 * decoded: a header inside of base64 is not seen. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_MAIL_MIME_SCANNER_H
#define POSTERN_LIB_MAIL_MIME_SCANNER_H

#include "lib/base/strbuf.h"
#include "lib/mail/mime_type.h"

#include <stdbool.h>
#include <stddef.h>

#define MIME_SCANNER_HEADER_MAX \
    102400u /* bytes, and the line that exceeds it: Postfix's header_size_limit */
#define MIME_SCANNER_DEPTH_MAX \
    102u /* boundaries at once: what mime_nesting_limit = 100 lets through */
#define MIME_SCANNER_BOUNDARY_MAX 2048u /* bytes: Postfix's mime_boundary_length_limit */
#define MIME_SCANNER_LINE_MAX \
    2048u /* bytes of a line that count as one: Postfix's line_length_limit */

enum mime_place {
    MIME_PLACE_PART,     /* behind a boundary */
    MIME_PLACE_ATTACHED, /* of an attached message */
};

/*
 * One logical header, `Name: value` with folded lines joined by "\n"; ends in a NUL byte, holds none, and lives until
 * the function returns.
 */
typedef void mime_scanner_found(void *ctx, enum mime_place place, const char *header, size_t len);

struct mime_boundary;

struct mime_scanner {
    mime_scanner_found *found;
    void *ctx;
    enum mime_scanner_state {
        MIME_SCANNER_OWN,      /* before the body */
        MIME_SCANNER_PART,     /* in a header behind a boundary */
        MIME_SCANNER_ATTACHED, /* in a header of an attached message */
        MIME_SCANNER_BODY,
    } state;
    enum mime_kind kind;         /* of what comes behind this header */
    struct mime_boundary *stack; /* the innermost one first */
    unsigned depth;
    struct strbuf header; /* the one that is being read */
    struct strbuf line;   /* the beginning of a line whose end has not come yet */
    bool
        continues; /* the line before was longer than MIME_SCANNER_LINE_MAX, and this is its rest */
    bool too_deep; /* there were more boundaries than are kept: what they hold is not seen */
};

/* In the caller's storage; mime_scanner_fini() gives back what it holds. A zeroed one is legal for that. */
void mime_scanner_init(struct mime_scanner *scanner, mime_scanner_found *found, void *ctx);
void mime_scanner_fini(struct mime_scanner *scanner);

/* A header of the message itself, in its order: `value` is all behind the colon. Only Content-Type means anything. */
void mime_scanner_own_header(struct mime_scanner *scanner, const char *name, const char *value);

/* The next piece of the body. Lines end in LF or CR LF. */
void mime_scanner_body(struct mime_scanner *scanner, const char *data, size_t len);

/* The end of the body: a header that was not finished is one. */
void mime_scanner_end(struct mime_scanner *scanner);

/*
 * Is it the name of one of the headers that tell what a body is (Content-Type, Content-Disposition, MIME-Version ...)?
 * `name` may go on behind a ':' or blank.
 */
bool mime_scanner_is_mime_name(const char *name);

/* Length of the name that a line begins with, if it is a header: printable ASCII, blanks, a colon. Else 0. */
size_t mime_scanner_header_name(const char *line, size_t len);

#endif
