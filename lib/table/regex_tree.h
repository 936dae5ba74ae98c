/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_tree - a regular expression of PCRE2 as a tree that matches at least as much.
 *
 * Each node matches all that its piece of the expression matches, and perhaps more: assertions other than the start of the
 * subject match everywhere, back references and recursion match any text, possessive repetitions are ordinary ones. So a subject that the tree
 * does not match is one that PCRE2 does not match either; it says nothing about other subjects. Bytes are those of a subject
 * whose ASCII letters were made lower case (regex_tree_fold()).
 */
#ifndef POSTERN_LIB_TABLE_REGEX_TREE_H
#define POSTERN_LIB_TABLE_REGEX_TREE_H

#include "lib/base/arena.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum regex_node_kind {
    REGEX_NODE_SET,      /* one byte of the set */
    REGEX_NODE_ANYTHING, /* any bytes, or none */
    REGEX_NODE_START,    /* nothing, and only where the subject begins */
    REGEX_NODE_SEQUENCE, /* its children one after another; without children: nothing */
    REGEX_NODE_CHOICE,   /* one of its children */
    REGEX_NODE_REPEAT,   /* its child, `least` to `most` times */
};

#define REGEX_TREE_NO_LIMIT UINT_MAX

struct regex_node {
    enum regex_node_kind kind;
    unsigned least, most;
    bool atomic; /* of a repetition or choice: PCRE2 does not go back into it once it has matched */
    size_t begin, end;              /* of what stands in a sequence: its place in the text */
    const struct regex_node *first; /* child */
    const struct regex_node *next;  /* sibling */
    unsigned char set[32];          /* byte b is in: bit b % 8 of set[b / 8] */
};

/*
 * The tree of an expression that pcre2_compile() has taken, with the flags of pattern_compile(). NULL: it holds something that is not
 * understood here. Lives in the arena, and holds nothing of `text`.
 */
const struct regex_node *regex_tree_parse(const char *text, size_t len, unsigned flags,
                                          struct arena *arena);

bool regex_node_has_byte(const struct regex_node *node, unsigned char byte);

/* Copies the subject with its ASCII letters in lower case. */
void regex_tree_fold(char *folded, const char *subject, size_t len);

#endif
