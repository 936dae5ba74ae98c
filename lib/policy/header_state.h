/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * header_state - what is known of the headers of one message while they come in.
 */
#ifndef POSTERN_LIB_POLICY_HEADER_STATE_H
#define POSTERN_LIB_POLICY_HEADER_STATE_H

#include "lib/base/arena.h"
#include "lib/mail/mime_scanner.h"
#include "lib/policy/header_names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct table_regex;

struct header_state {
    struct session *session;
    const struct table_regex *own;  /* header_checks; NULL: none */
    const struct table_regex *mime; /* mime_header_checks; NULL: none */
    bool mime_apart; /* MIME headers are asked for in `mime` alone, even if that is NULL */
    struct header_names names;
    unsigned fields;
    size_t bytes;
    unsigned client; /* enum client_fact, once they were asked for */
    bool client_known;
    uint64_t spent_ns;           /* on slow patterns: one budget for all headers */
    bool ended;                  /* the own header */
    bool done;                   /* nothing further is asked */
    bool held;                   /* by a header rule: the first one counts */
    struct mime_scanner scanner; /* only used with `mime`; calls back with this structure */
};

/* All else zero. It lives in `arena`, but for what header_state_free() gives back. */
struct header_state *header_state_new(struct arena *arena, mime_scanner_found *found);

/* Before the arena is reset. Sets the pointer to NULL; NULL is legal. */
void header_state_free(struct header_state **state);

#endif
