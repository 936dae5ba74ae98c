/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * header_edit - what header rules change in a message, or want to be logged: a list in the order of the headers.
 *
 * The daemon carries it out at the end of the message. Everything is told in terms of the header as it was received: an
 * MTA that counts anew after each change is the caller's concern.
 */
#ifndef POSTERN_LIB_POLICY_HEADER_EDIT_H
#define POSTERN_LIB_POLICY_HEADER_EDIT_H

#include "lib/base/arena.h"
#include "lib/policy/verdict.h"

#include <stdbool.h>
#include <stddef.h>

/* What one message may have changed: a client must not make more, whatever it sends. */
#define HEADER_EDIT_MAX 1000u
#define HEADER_EDIT_MAX_BYTES (1024u * 1024u)
#define HEADER_EDIT_MAX_LOGS 100u    /* INFO and WARN; the rest is counted */
#define HEADER_EDIT_MAX_SUBJECT 256u /* bytes of a header that are kept for the log */

enum header_edit_kind {
    HEADER_EDIT_DELETE,        /* take the field out */
    HEADER_EDIT_REPLACE,       /* put `new_name: value` in its place */
    HEADER_EDIT_PREPEND,       /* put `new_name: value` before it */
    HEADER_EDIT_ADD_RECIPIENT, /* send a copy to `value`: BCC */
    HEADER_EDIT_REDIRECT, /* send to `value` instead of all recipients; the last one of a message counts */
    HEADER_EDIT_INFO, /* nothing changes: `value` is to be logged */
    HEADER_EDIT_WARN,
};

/*
 * `name`, `occurrence` and `position` say which field of the message's own header the rule matched, as it was received.
 * A rule of the end of headers, or of a field in the body, has no such field.
 */
struct header_edit {
    enum header_edit_kind kind;
    const char *name;     /* as received; NULL: no field of the own header */
    unsigned occurrence;  /* the n-th of that name, without regard to case, from 1; 0: no field */
    unsigned position;    /* that field of all, from 0; no field: how many there are */
    const char *new_name; /* of REPLACE and PREPEND, else NULL */
    const char *value;    /* see below */
    struct verdict_rule rule; /* the line that said so; key: the pattern */
    const char *subject;      /* the header as it was compared, cut; NULL: none */
    const struct header_edit *next;
};

/*
 * value, by kind. REPLACE, PREPEND: all that stands behind the colon, its blank included, folds as "\n" and a blank.
 * ADD_RECIPIENT, REDIRECT: the address without <>. INFO, WARN: the text, which may be empty. DELETE: NULL.
 */

/* The edits of one message, in order; zeroed: none. */
struct header_edits {
    const struct header_edit *first;
    struct header_edit *last;
    size_t count;    /* of changes */
    size_t bytes;    /* of their texts */
    size_t logs;     /* INFO and WARN */
    size_t unlogged; /* of these, beyond HEADER_EDIT_MAX_LOGS */
};

/* Does it change nothing, and is only to be logged? */
bool header_edit_is_log(const struct header_edit *edit);

/*
 * Appends a copy that lives in `arena`, strings included. False, with nothing done but counting: there are too many; the message
 * must then be refused, unless it is only to be logged.
 */
bool header_edit_append(struct header_edits *edits, struct arena *arena,
                        const struct header_edit *edit);

/* "delete", "replace", "prepend", "add recipient", "redirect", "info", "warn". */
const char *header_edit_kind_name(enum header_edit_kind kind);

#endif
