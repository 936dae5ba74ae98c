/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * literal_groups - literal indexes (literal_index.h) for patterns that begin alike.
 *
 * Most patterns of headers begin with a header's name, so that nearly all of them are ruled out by the first bytes of a subject: only
 * the index of those that begin as it does is looked at, and that of the patterns without such a beginning.
 */
#ifndef POSTERN_LIB_TABLE_LITERAL_GROUPS_H
#define POSTERN_LIB_TABLE_LITERAL_GROUPS_H

#include "lib/table/literal_index.h"
#include "lib/table/regex_needs.h"
#include "lib/table/sparse_bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By the first bytes of a subject, or of all subjects that a pattern matches. */
#define LITERAL_GROUPS 256u
#define LITERAL_GROUPS_NONE LITERAL_GROUPS /* it is in none of them */

struct literal_groups;

struct literal_groups *literal_groups_new(void);
void literal_groups_free(struct literal_groups **groups);

/* Adds a pattern, in ascending order; the needs stay the caller's. False: they hold no word to look for. */
bool literal_groups_add(struct literal_groups *groups, uint32_t pattern,
                        const struct regex_needs *needs);

/* To be called once, behind the last literal_groups_add() and before anything below. */
void literal_groups_finish(struct literal_groups *groups);

/* How many patterns wait for words that this one waits for; 0: it was not added. */
size_t literal_groups_crowd(const struct literal_groups *groups, uint32_t pattern);

/* What one thread needs while it scans; literal_scratch_fini() frees it. */
void literal_groups_scratch_init(struct literal_scratch *scratch,
                                 const struct literal_groups *groups);

/* The group of a subject, which need not be folded. */
size_t literal_groups_of_subject(const char *subject, size_t len);

/* The group of a pattern, LITERAL_GROUPS_NONE also if it is in several. */
size_t literal_groups_of_pattern(const struct regex_needs *needs);

/* Is it clear from its group that no pattern matches a subject? */
bool literal_groups_rule_out(const struct literal_groups *groups, size_t group);

/* Adds the patterns that may match. Safe for threads. */
void literal_groups_scan(const struct literal_groups *groups, size_t group, const char *folded,
                         size_t len, struct literal_scratch *scratch,
                         struct sparse_bits *may_match);

size_t literal_groups_bytes(const struct literal_groups *groups);

#endif
