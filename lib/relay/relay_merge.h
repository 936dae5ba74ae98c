/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_merge - the entries of a list into a store that has its own: what is as young there stays.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_MERGE_H
#define POSTERN_LIB_RELAY_RELAY_MERGE_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/relay/relay_list.h"
#include "lib/relay/relay_store.h"

#include <stddef.h>

struct relay_merged {
    size_t taken;
    size_t present; /* the store has them, as young */
    size_t refused; /* by the store: it is full */
};

/*
 * Gives the store all entries of the list, a batch at a time, and waits until each batch is on the disk. STATUS_OK: nothing was refused. Else `why` has the
 * first reason: STATUS_INVALID: some were refused; STATUS_TEMPFAIL: the store failed, and was given no more after that. What was taken
 * stays in each case. Safe for threads as the store is.
 */
enum status relay_merge(struct relay_store *store, const struct relay_list *list,
                        struct relay_merged *merged_out, struct strbuf *why);

#endif
