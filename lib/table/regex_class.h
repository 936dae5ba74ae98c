/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_class - sets of bytes as regular expressions of PCRE2 write them: \d, [[:alpha:]], [a-z], and single escaped bytes.
 *
 * What a set holds beyond ASCII may depend on the tables with which PCRE2 was built, so names of sets (\w, [:alpha:] and their
 * opposites) hold all bytes above 127 here: at least what PCRE2 takes, as all of regex_tree.h.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_CLASS_H
#define POSTERN_LIB_TABLE_REGEX_CLASS_H

#include "lib/table/regex_input.h"

#include <stdbool.h>

/* Byte b is in: bit b % 8 of bits[b / 8]. */
struct regex_set {
    unsigned char bits[32];
};

void regex_set_add(struct regex_set *set, unsigned char byte);
void regex_set_add_all(struct regex_set *set);

/* The set of an escape like \d; false: `letter` names none. */
bool regex_class_named(unsigned char letter, struct regex_set *set);

/*
 * Reads an escape that stands for one byte, from behind its backslash: \n, \x41, \., \012. False: it is something else, or not
 * understood; the input may have been read in part.
 */
bool regex_class_escaped_byte(struct regex_input *input, unsigned char *byte_out);

/* Skips what follows \p or \P. False: malformed. */
bool regex_class_skip_property(struct regex_input *input);

/* Reads a class from behind its `[` to behind its `]`. False: not understood. */
bool regex_class_read(struct regex_input *input, struct regex_set *set);

/* Letters of the set become lower case ones. */
void regex_set_fold(struct regex_set *set);

#endif
