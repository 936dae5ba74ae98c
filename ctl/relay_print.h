/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_print - entries and results, for people and for programs.
 */
#ifndef POSTERN_CTL_RELAY_PRINT_H
#define POSTERN_CTL_RELAY_PRINT_H

#include "ctl/ctl.h"

#include "lib/base/status.h"
#include "lib/relay/relay_list.h"

#include <stdbool.h>

/* The reason that programs are told if `why` is empty: nobody answered, and people were told more on standard error. */
#define RELAY_PRINT_NO_ANSWER "the daemon does not answer"

/* Prints the entries that `wants` (NULL: all), in the order of the list. Many are printed without much memory. */
void relay_print_list(const struct ctl *ctl, const struct relay_list *list,
                      bool (*wants)(void *ctx, const struct relay_entry *entry), void *ctx);

/* {"address", "timestamp", "time", "user", "service"}; the last two only if they are known. */
json_t *relay_print_json(const struct relay_entry *entry);

/* The exit status that stands for the result. */
int relay_print_code(enum status status);

/*
 * Tells the result of a change of `what`: with --json an object with "result" and "count", or "reason"; else nothing if it was done, and the
 * reason on standard error if it was not and there is one. Returns the exit status.
 */
int relay_print_result(const struct ctl *ctl, const char *what, enum status status, const char *why,
                       size_t count, const struct ctl_problems *problems);

#endif
