/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_patterns - the file `regex` of postern.conf: its tags, what its right-hand sides may be, and what they ask of the MTA.
 */
#ifndef POSTERN_LIB_POLICY_REGEX_PATTERNS_H
#define POSTERN_LIB_POLICY_REGEX_PATTERNS_H

#include "lib/base/diag.h"
#include "lib/table/table_regex.h"

#include <stdbool.h>

/* The tags, as bits of regex_query.tag. */
enum regex_tag {
    REGEX_CONNECT = 1u << 0,
    REGEX_HELO = 1u << 1,
    REGEX_FROM = 1u << 2,
    REGEX_TO = 1u << 3,
    REGEX_COMPAT = 1u << 4,
};

/* "Connect", ... */
const char *regex_patterns_tag_name(enum regex_tag tag);

/* False: `text` begins with no tag and ':'. */
bool regex_patterns_find_tag(const char *text, enum regex_tag *tag_out, const char **rest_out);

/* What the file may hold. */
extern const struct regex_dialect regex_patterns_dialect;

/* The file, read. Immutable, safe for threads. */
struct regex_patterns {
    struct table_regex *table; /* NULL: none configured */
    unsigned tags;             /* that any rule is asked for */

    /* what the rules can want of the MTA */
    bool quarantines;
    bool drops; /* takes recipients out */
    bool edits; /* puts headers in */
    bool adds_recipients;
    bool relays;     /* permits relaying: Connect: */
    unsigned client; /* enum client_fact that `if client` asks for */
};

/* Reads it; `path` "": there is none. NULL: there is an error, which was told. */
struct regex_patterns *regex_patterns_load(const char *path, struct diag *diag);
void regex_patterns_free(struct regex_patterns **patterns);

#endif
