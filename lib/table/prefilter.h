/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * prefilter - which of many patterns can match a subject at all, found by one look at the subject.
 *
 * It never decides: a pattern that it does not name surely does not match, one that it names must be asked. So
 * whoever uses it decides the same with and without it, only sooner. What it knows of a pattern is a wider form of it
 * (see widening.h); a pattern that it does not understand is always named.
 *
 * Small tables are answered by what each pattern must begin with or hold. For large ones prefilter_start() compiles a
 * database for libhyperscan (or vectorscan) in a thread of its own, where configure found that library; until it is
 * ready the first way answers.
 */
#ifndef POSTERN_LIB_TABLE_PREFILTER_H
#define POSTERN_LIB_TABLE_PREFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefilter;

/* A pattern as PCRE2 is given it. */
struct prefilter_pattern {
    const char *text; /* NULL: no pattern, never named */
    size_t len;
    unsigned flags; /* enum pattern_flag, with all that pattern_compile() adds by itself */
};

/*
 * Takes note of `count` patterns; copies what it needs. Costs microseconds for a pattern and compiles nothing. Never
 * NULL; free it with prefilter_free().
 */
struct prefilter *prefilter_new(const struct prefilter_pattern *patterns, size_t count);

/* Stops the thread, if there is one (waits until it has put down what it does, well below a second), and frees all. */
void prefilter_free(struct prefilter **prefilter);

/*
 * Has the database compiled in the background, where that is worth it; returns at once. `previous` (or NULL) is the
 * prefilter that this one will replace: its thread is stopped, and what it has compiled from patterns that are still
 * the same is taken over. To be called once, by one thread at a time; scans of both go on meanwhile.
 */
void prefilter_start(struct prefilter *prefilter, struct prefilter *previous);

/* Waits until what prefilter_start() began is done: for tests and measurements. */
void prefilter_wait(struct prefilter *prefilter);

/* 64 patterns a word: pattern n is bit n % 64 of word n / 64. */
#define PREFILTER_WORDS(count) (((count) + 63) / 64)

/*
 * The patterns that may match the subject, PREFILTER_WORDS(count) words with no bit beyond the last pattern, or NULL if nothing can be
 * said: then every pattern must be asked. Any bytes may be in the subject. The words come from a pool and go back with
 * prefilter_give_back(), before prefilter_free(). Safe for threads.
 */
uint64_t *prefilter_scan(struct prefilter *prefilter, const char *subject, size_t len);
void prefilter_give_back(struct prefilter *prefilter, uint64_t **words);

/* How far it is, for `posternctl status`. */
struct prefilter_stats {
    const char *engine; /* "hyperscan 5.4.0 ..."; NULL: without that library */
    size_t patterns;    /* all */
    size_t understood;  /* of these, known in a wider form: others are always named */
    size_t compiled;    /* of these, in the database now */
    bool compiling;     /* the thread is at work */
    const char
        *failure; /* why there is no (whole) database, or NULL; lives as long as the prefilter */
    size_t bytes; /* the database */
    unsigned long compile_ms; /* wall clock time that it took, or takes so far */
};

void prefilter_stats(const struct prefilter *prefilter, struct prefilter_stats *stats_out);

#endif
