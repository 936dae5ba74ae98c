/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * prefilter_database - many expressions in one automaton, by a library that configure found.
 *
 * prefilter_hyperscan.c (libhyperscan, vectorscan) or prefilter_none.c is linked. For prefilter.c alone.
 */
#ifndef POSTERN_LIB_TABLE_PREFILTER_DATABASE_H
#define POSTERN_LIB_TABLE_PREFILTER_DATABASE_H

#include "lib/base/strbuf.h"
#include "lib/table/sparse_bits.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefilter_database;
struct prefilter_database_scratch;

#define PREFILTER_DATABASE_ALL 256u

struct prefilter_expression {
    char *text; /* of regex_widen() */
    uint32_t pattern;
    unsigned
        group; /* what can match subjects of this group alone; PREFILTER_DATABASE_ALL: any subject */
    bool taken; /* out: it is in the database */
};

/* The library and its version; NULL: there is none, and no other function here has anything to do. */
const char *prefilter_database_engine(void);

/*
 * Compiles what the library takes, sorted by group, in pieces, so that the time grows with the number of expressions and no faster. It ends early when *stop
 * is set. NULL: stopped, or nothing was taken. `why` gets what was wrong with the expressions that are not taken.
 */
struct prefilter_database *prefilter_database_compile(struct prefilter_expression *expressions,
                                                      size_t count, const atomic_bool *stop,
                                                      struct strbuf *why);
void prefilter_database_free(struct prefilter_database **database);

/* What one thread needs for a scan; NULL: no memory. It may outlive the database. */
struct prefilter_database_scratch *prefilter_database_scratch_new(
    const struct prefilter_database *database);
void prefilter_database_scratch_free(struct prefilter_database_scratch **scratch);

/* Is there any expression for subjects of this group? */
bool prefilter_database_has(const struct prefilter_database *database, unsigned group);

/* Adds the patterns whose expressions match a subject of this group. False: it failed, and what was added says nothing. */
bool prefilter_database_scan(const struct prefilter_database *database,
                             struct prefilter_database_scratch *scratch, unsigned group,
                             const char *folded, size_t len, struct sparse_bits *may_match);

size_t prefilter_database_bytes(const struct prefilter_database *database);

#endif
