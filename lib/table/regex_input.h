/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_input - the text of a regular expression while it is read.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_INPUT_H
#define POSTERN_LIB_TABLE_REGEX_INPUT_H

#include <stdbool.h>

/* What is left to read. */
struct regex_input {
    const unsigned char *at;
    const unsigned char *end;
};

bool regex_byte_is_digit(unsigned char byte);
bool regex_byte_is_space(unsigned char byte); /* of ASCII */

bool regex_input_ended(const struct regex_input *input);

/* Does `text` come next? The second reads it then. */
bool regex_input_looks_at(const struct regex_input *input, const char *text);
bool regex_input_take(struct regex_input *input, const char *text);

/* Reads a quantifier (* + ? {n} {n,} {n,m}), if one comes next. No limit: UINT_MAX. */
bool regex_input_take_quantifier(struct regex_input *input, unsigned *least_out,
                                 unsigned *most_out);

/*
 * At a brace: one that begins no quantifier is itself, but which are quantifiers depends on the version of PCRE2: {,3} and { 1, 3 } became ones
 * with 10.43.
 */
bool regex_input_brace_is_doubtful(const struct regex_input *input);

#endif
