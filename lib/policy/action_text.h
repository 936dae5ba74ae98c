/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * action_text - the text of a right-hand side as Sendmail's scanner reads it: comments, quotes, backslashes.
 */
#ifndef POSTERN_LIB_POLICY_ACTION_TEXT_H
#define POSTERN_LIB_POLICY_ACTION_TEXT_H

#include "lib/base/arena.h"

#include <stdbool.h>

struct action_text {
    char *text; /* without comments, in the arena */
    bool had_comment;
    const char *error; /* NULL: all pairs close */
};

/* Takes comments in (parentheses) out; quotes stay. `error` says which pair does not close. */
struct action_text action_text_scan(const char *value, struct arena *arena);

/* Takes quotes, backslashes, and the blanks at both ends off, in place. */
char *action_text_dequote(char *text);

/* Takes the blanks at both ends off, in place. */
char *action_text_trim(char *text);

#endif
