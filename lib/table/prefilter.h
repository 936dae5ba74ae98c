/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * prefilter - which of many patterns can match a subject at all, found by one look at the subject.
 *
 * It never decides: a pattern that it does not name surely does not match, one that it names must be asked. So
 * whoever uses it decides the same with and without it, only sooner. What it knows of a pattern is a wider form of it
 * (regex_tree.h); a pattern that it does not understand is always named.
 *
 * Most patterns hold words that each subject they match must hold, too; those of all patterns are looked for
 * in one pass over the subject (literal_groups.h). Patterns without such words are what libhyperscan (or vectorscan) is for, where configure
 * found it: prefilter_start() compiles their wider forms in a thread; without it, and until it is ready, they are
 * always named.
 */
#ifndef POSTERN_LIB_TABLE_PREFILTER_H
#define POSTERN_LIB_TABLE_PREFILTER_H

#include "lib/table/sparse_bits.h"

#include <stdbool.h>
#include <stddef.h>

struct prefilter;

/* A pattern as pattern_compile() is given it, and as it has taken it. */
struct prefilter_pattern {
    const char *text; /* NULL: no pattern, never named */
    size_t len;
    unsigned flags; /* enum pattern_flag */
};

/*
 * Takes note of `count` patterns; copies what it needs. Costs some microseconds for a pattern. Never NULL; free it with
 * prefilter_free().
 */
struct prefilter *prefilter_new(const struct prefilter_pattern *patterns, size_t count);

/* Stops the thread, if there is one (waits until it has put down what it does, about a second at worst), and frees all. */
void prefilter_free(struct prefilter **prefilter);

/*
 * Has the database compiled in the background, where that is worth it; returns at once. To be called once, by one
 * thread; scans go on meanwhile.
 */
void prefilter_start(struct prefilter *prefilter);

/* Ends what prefilter_start() began, as prefilter_free() does; what is not known then stays unknown. To be called by one thread. */
void prefilter_stop(struct prefilter *prefilter);

/* Waits until what prefilter_start() began is done: for tests and measurements. */
void prefilter_wait(struct prefilter *prefilter);

/*
 * The patterns that may match the subject, by their numbers; NULL: nothing can be said (a table too small to be worth it), every
 * pattern must be asked. Any bytes may be in the subject. What it returns goes back with prefilter_give_back(), before
 * prefilter_free(). Safe for threads.
 */
const struct sparse_bits *prefilter_scan(struct prefilter *prefilter, const char *subject,
                                         size_t len);
void prefilter_give_back(struct prefilter *prefilter, const struct sparse_bits **named);

/* How far it is, for `posternctl status`. */
struct prefilter_stats {
    const char *engine; /* "hyperscan 5.4.0"; NULL: built without that library */
    size_t patterns;    /* all */
    size_t by_words;    /* known by words that their subjects must hold */
    size_t by_database; /* in the database; all others are always named */
    bool compiling;     /* the thread is at work */
    const char
        *failure; /* why there is no (whole) database, or NULL; lives as long as the prefilter */
    size_t bytes; /* words and database */
    unsigned long compile_ms; /* wall clock time of the database, so far */
};

void prefilter_stats(const struct prefilter *prefilter, struct prefilter_stats *stats_out);

#endif
