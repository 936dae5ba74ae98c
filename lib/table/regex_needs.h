/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_needs - what every subject that a regular expression matches must hold.
 *
 * A clause is a list of words of which one must be in the (folded) subject: `^Subject:.*(cheap|free) *v[i1]agra` needs the
 * prefix "subject:", one of "cheap" and "free", and one of "viagra" and "v1agra".
 */
#ifndef POSTERN_LIB_TABLE_REGEX_NEEDS_H
#define POSTERN_LIB_TABLE_REGEX_NEEDS_H

#include "lib/table/regex_tree.h"

#include <stddef.h>

#define REGEX_NEEDS_MIN_WORD 3u
#define REGEX_NEEDS_MAX_WORD 64u
#define REGEX_NEEDS_MAX_WORDS 32u   /* of a clause that comes of one piece of text */
#define REGEX_NEEDS_MAX_CHOICES 96u /* of a clause that comes of several branches */
#define REGEX_NEEDS_MAX_CLAUSES 4u

struct regex_word {
    const char *text; /* may hold any bytes; no upper-case letters */
    size_t len;       /* REGEX_NEEDS_MIN_WORD to REGEX_NEEDS_MAX_WORD; of a prefix 1 at least */
};

struct regex_clause {
    const struct regex_word *words;
    size_t count;
};

struct regex_needs {
    struct regex_clause prefixes; /* the subject begins with one of them; count 0: not known */
    /* What it needs beside that. */
    struct regex_clause clauses[REGEX_NEEDS_MAX_CLAUSES];
    size_t count;
};

/* The needs of a tree; they live in the arena. */
void regex_needs_find(const struct regex_node *tree, struct arena *arena,
                      struct regex_needs *needs_out);

#endif
