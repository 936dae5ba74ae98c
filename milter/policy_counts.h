/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * policy_counts - which recipients of which messages were relayed because of a login: Postfix asks for one at a time, and perhaps
 * for the same one twice.
 *
 * A message is known by Postfix's `instance`, the same for all questions about it. Bounded: of many messages at once those that were
 * asked about longest ago are forgotten. Safe for threads.
 */
#ifndef POSTERN_MILTER_POLICY_COUNTS_H
#define POSTERN_MILTER_POLICY_COUNTS_H

#include <stdbool.h>

struct policy_counts;

struct policy_counts *policy_counts_new(void);
void policy_counts_free(struct policy_counts **counts);

/* How many recipients of this message there were; *counted_out: this one was among them. */
unsigned policy_counts_find(struct policy_counts *counts, const char *instance,
                            const char *recipient, bool *counted_out);

void policy_counts_add(struct policy_counts *counts, const char *instance, const char *recipient);

#endif
