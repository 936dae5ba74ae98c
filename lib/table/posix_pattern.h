/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * posix_pattern - a regular expression of POSIX, written as PCRE2 reads it.
 *
 * Sendmail's regex maps go through regcomp(3); their patterns mean the same here, with the extensions of the GNU library (\w \b \< \+). One
 * thing differs: of several ways to match at the same place PCRE2 takes the first one that is written, POSIX the longest. That
 * never changes whether there is a match, only which text the groups hold.
 */
#ifndef POSTERN_LIB_TABLE_POSIX_PATTERN_H
#define POSTERN_LIB_TABLE_POSIX_PATTERN_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Appends the pattern to `out`, for PATTERN_DOTALL and PATTERN_DOLLAR_ENDONLY; `basic`: a basic regular expression, else an extended one. False: it is
 * wrong, `why` says how. What it does not see is found when the result is compiled.
 */
bool posix_pattern_translate(const char *text, bool basic, struct strbuf *out, struct strbuf *why);

#endif
