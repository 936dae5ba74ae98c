/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * header_action - carries out the right-hand side of a header rule: a verdict for the message, or an entry in its edits.
 */
#ifndef POSTERN_LIB_POLICY_HEADER_ACTION_H
#define POSTERN_LIB_POLICY_HEADER_ACTION_H

#include "lib/policy/header_state.h"
#include "lib/policy/verdict.h"
#include "lib/table/table_regex.h"

#include <stdbool.h>

/* What a rule was asked about. */
struct header_field {
    const char *name; /* NULL: a header in the body, or the header as a whole */
    unsigned
        occurrence; /* see struct header_edit; 0 with a name: too many names to count this one */
    unsigned position;
    const char *text;   /* "Name: value"; NULL: the header as a whole */
    const char *reason; /* "header_checks" or "mime_header_checks" */
    bool in_body;
};

/*
 * Does what the match (status OK or TEMPFAIL) says. The verdict is what this header decided, and lives in the session's scratch; what
 * must last is kept in the session. A right-hand side that is none, as $1 made it, is a temporary failure, never an accept.
 */
struct verdict header_action_take(struct header_state *state, const struct header_field *field,
                                  const struct regex_match *match);

/* Refuses the message, without a rule. */
struct verdict header_action_refuse(struct header_state *state, struct reply reply,
                                    const char *reason);

/* Refuses the message for now: 451 4.3.0. `why` goes to the trace. */
struct verdict header_action_fail(struct header_state *state, const char *reason, const char *why);

#endif
