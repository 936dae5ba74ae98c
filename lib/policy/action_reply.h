/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * action_reply - the right-hand sides that become an SMTP reply: `550 5.7.1 text`, `ERROR:5.7.1:550 text`, `TEMP:text`.
 *
 * Each function changes the text that it is given. False with *out set if it is no reply; true with out->text set: a
 * warning is due. The reply lives in the arena.
 */
#ifndef POSTERN_LIB_POLICY_ACTION_REPLY_H
#define POSTERN_LIB_POLICY_ACTION_REPLY_H

#include "lib/policy/action.h"

#include <stdbool.h>

/* What is blank at the beginning of a text that holds what matched: header fields have lines. */
#define ACTION_REPLY_BLANKS " \t\n\v\f\r"

/* Does the text begin with three digits, alone or with a blank behind them? */
bool action_reply_has_code(const char *text);

/* A text that must begin with a reply code. `dsn` is the enhanced code if it has none; NULL: D.0.0. */
bool action_reply_parse(const char *text, const char *dsn, struct arena *arena,
                        struct reply *reply_out, struct action_problem *out);

/* What stands behind "ERROR:". */
bool action_reply_parse_error(char *text, struct arena *arena, struct reply *reply_out,
                              struct action_problem *out);

/* What stands behind "TEMP:". A text may begin with a code of its own, as behind "ERROR:". */
bool action_reply_parse_temp(char *text, struct arena *arena, struct reply *reply_out,
                             struct action_problem *out);

/* Postfix's `text` or `D.S.N text`: with `code` and `dsn` unless the text says otherwise; a D.S.N of class 4 makes it 451. */
struct reply action_reply_of_text(const char *text, int code, const char *dsn, struct arena *arena);

#endif
