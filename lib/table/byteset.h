/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * byteset - a set of bytes, as the classes of a regular expression describe it.
 */
#ifndef POSTERN_LIB_TABLE_BYTESET_H
#define POSTERN_LIB_TABLE_BYTESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byteset {
    uint64_t words[4];
};

void byteset_add(struct byteset *set, unsigned char c);
void byteset_add_all(struct byteset *set, const struct byteset *other);
void byteset_add_range(struct byteset *set, unsigned char first, unsigned char last);
void byteset_invert(struct byteset *set);

/* Adds the other case of each ASCII letter in it. */
void byteset_fold(struct byteset *set);

bool byteset_overlaps(const struct byteset *a, const struct byteset *b);

/* Adds what \d, \w, \s, \h, \v, \N, \R and their opposites match. False: `letter` is none of them. */
bool byteset_add_escape(struct byteset *set, char letter);

/*
 * Reads the class that begins behind a `[` and adds it. Returns what follows its `]`, or NULL if it has no end or holds what is not
 * understood here. What stands for more than can be told (\p{..}) adds all bytes.
 */
const char *byteset_read_class(const char *at, const char *end, struct byteset *set);

#endif
