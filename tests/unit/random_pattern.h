/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * random_pattern - random regular expressions of all kinds that PCRE2 knows, each with texts that it may well match.
 *
 * The same seed gives the same patterns.
 */
#ifndef POSTERN_TESTS_UNIT_RANDOM_PATTERN_H
#define POSTERN_TESTS_UNIT_RANDOM_PATTERN_H

#include "lib/base/strbuf.h"

#include <stdint.h>

struct random_source {
    uint64_t state;
};

/* A number below `limit`. */
unsigned random_below(struct random_source *source, unsigned limit);

/*
 * Appends an expression, which may be a wrong one, and a text that was made beside it: where the expression has no
 * assertions, references or other such things, it matches that text.
 */
void random_pattern(struct random_source *source, struct strbuf *pattern, struct strbuf *sample);

/* Random flags of pattern_compile(), caseless ones above all. */
unsigned random_pattern_flags(struct random_source *source);

/* Changes a text a little: another case, a byte more or less, something around it. */
void random_change(struct random_source *source, struct strbuf *text);

#endif
