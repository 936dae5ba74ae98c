/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * snapshot - the ruleset that new sessions begin with.
 *
 * One pointer that a reload swaps. Sessions take a reference at their begin and keep it; nobody waits for them.
 */
#ifndef POSTERN_MILTER_SNAPSHOT_H
#define POSTERN_MILTER_SNAPSHOT_H

struct ruleset;
struct snapshot;

/* Takes over the caller's reference of `ruleset`. */
struct snapshot *snapshot_new(struct ruleset *ruleset);
void snapshot_free(struct snapshot **snapshot);

/* A new reference of the current ruleset; never NULL. Safe for threads. */
struct ruleset *snapshot_get(struct snapshot *snapshot);

/* Makes `ruleset` the current one, taking over the caller's reference. Safe for threads. */
void snapshot_swap(struct snapshot *snapshot, struct ruleset *ruleset);

#endif
