/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mime_type - what a Content-Type field (RFC 2045, 5.1) says of the headers that may lie in the body it describes.
 *
 * It is read as leniently as Postfix reads it, whatever stands there: filters that read a field otherwise than the
 * program at its destination are how attachments get past them. No I/O, safe for threads.
 */
#ifndef POSTERN_LIB_MAIL_MIME_TYPE_H
#define POSTERN_LIB_MAIL_MIME_TYPE_H

#include <stdbool.h>
#include <stddef.h>

enum mime_kind {
    MIME_KIND_LEAF,      /* text, and what has no headers inside */
    MIME_KIND_MESSAGE,   /* message/rfc822, message/global: begins with a header of its own */
    MIME_KIND_OPAQUE,    /* other message/ types: delivery reports, parts of a message */
    MIME_KIND_MULTIPART, /* parts between boundaries */
    MIME_KIND_DIGEST,    /* the same, and what has no Content-Type in it is a message */
};

/* Is it multipart/ of any kind? */
bool mime_kind_is_multipart(enum mime_kind kind);

/* A boundary parameter; `text` lives until the function returns. */
typedef void mime_type_boundary(void *ctx, const char *text, size_t len);

/*
 * Reads the value of a Content-Type field, all that stands behind the colon. A type that is none of those above leaves
 * *kind as it was, as Postfix does: it is what the surroundings say. With a multipart type `boundary` is called for
 * each boundary parameter: more than one is wrong, but each may be the one that somebody else goes by.
 */
void mime_type_read(const char *value, enum mime_kind *kind, mime_type_boundary *boundary,
                    void *ctx);

#endif
