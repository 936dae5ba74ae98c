/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pattern - one compiled regular expression, with limits that no subject can get around.
 *
 * What the patterns of one table share is an engine: the limits, whether they are compiled to machine code, and the scratch
 * memory of matches. A pattern never changes once compiled; any number of threads may match it at once, each with a scratch of
 * its own. Bytes are compared as bytes, as Postfix does, unless the pattern itself begins with (*UTF); subjects may hold
 * anything, NUL bytes and invalid UTF-8 too.
 */
#ifndef POSTERN_LIB_TABLE_PATTERN_H
#define POSTERN_LIB_TABLE_PATTERN_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The flags of pcre_table(5). */
enum pattern_flag {
    PATTERN_CASELESS = 1u << 0,       /* i */
    PATTERN_MULTILINE = 1u << 1,      /* m */
    PATTERN_DOTALL = 1u << 2,         /* s */
    PATTERN_EXTENDED = 1u << 3,       /* x */
    PATTERN_ANCHORED = 1u << 4,       /* A */
    PATTERN_DOLLAR_ENDONLY = 1u << 5, /* E */
    PATTERN_UNGREEDY = 1u << 6,       /* U */
};

enum pattern_result {
    PATTERN_MATCH,
    PATTERN_NO_MATCH,
    PATTERN_FAILED, /* it cannot be known: a limit was reached */
};

struct pattern;
struct pattern_engine;
struct pattern_scratch;

/* ---- engine ---- */

struct pattern_engine *pattern_engine_new(void);

/* After all its patterns and scratches. Sets the caller's pointer to NULL; NULL is legal. */
void pattern_engine_free(struct pattern_engine **engine);

/*
 * Why patterns are not compiled to machine code ("no memory may be both written and executed"), for one line of a log; NULL:
 * they are. They match the same either way, but slower.
 */
const char *pattern_engine_notice(const struct pattern_engine *engine);

/* ---- patterns ---- */

/* NULL: it is wrong, and *why says how and where ("missing closing parenthesis at offset 3"). Not for two threads at once. */
struct pattern *pattern_compile(struct pattern_engine *engine, const char *text, size_t len,
                                unsigned flags, struct strbuf *why);
void pattern_free(struct pattern **pattern);

/* Number of its capturing groups. */
unsigned pattern_groups(const struct pattern *pattern);

/* The number of the group that is called `name`; 0: there is none, or there are several. */
unsigned pattern_named_group(const struct pattern *pattern, const char *name);

/* Name number `index`, from 0 on, of those that its groups have; NULL: there are no more. Lives as long as the pattern. */
const char *pattern_group_name(const struct pattern *pattern, unsigned index);

/* ---- matches ---- */

/* Scratch for one thread until it is put back. Safe for threads. */
struct pattern_scratch *pattern_scratch_get(struct pattern_engine *engine);
void pattern_scratch_put(struct pattern_engine *engine, struct pattern_scratch **scratch);

/*
 * Matches that take long count together, from now on, against one limit of some seconds: *spent_ns has what they took before, 0 at
 * first, and lives as long as the scratch is used. Without it each scratch that is taken has that time.
 */
void pattern_scratch_share_time(struct pattern_scratch *scratch, uint64_t *spent_ns);

/* Asks one pattern. PATTERN_FAILED: *why_out is set to a text that lives for ever. */
enum pattern_result pattern_match(const struct pattern *pattern, struct pattern_scratch *scratch,
                                  const char *data, size_t len, const char **why_out);

/*
 * Where group `number` (0: all) of the last match lies in its subject. False, and an empty place: the group took no part, or there is
 * none of that number.
 */
bool pattern_group(const struct pattern_scratch *scratch, unsigned number, size_t *begin_out,
                   size_t *end_out);

#endif
