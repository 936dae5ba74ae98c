/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_guard - addresses_per_user: may a login be granted, or does its user come from too many addresses?
 *
 * For the store's thread.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_GUARD_H
#define POSTERN_LIB_RELAY_RELAY_GUARD_H

#include "lib/relay/relay_index.h"
#include "lib/relay/relay_store.h"
#include "lib/relay/relay_writer.h"

#include <stdint.h>

struct relay_guard;

struct relay_guard *relay_guard_new(const struct relay_index *index,
                                    const struct relay_settings *settings);
void relay_guard_free(struct relay_guard **guard);

/* What a reload has changed: who begins to count begins with the entries that are there. To be called now and then. */
void relay_guard_tend(struct relay_guard *guard, int64_t now);

/* All entries are others now. */
void relay_guard_forget(struct relay_guard *guard);

enum relay_guard_answer {
    RELAY_GUARD_GRANT,
    RELAY_GUARD_REFUSE,
    RELAY_GUARD_WITHDRAW, /* refuse, and remove the user's entries */
};

/* Any change before it is made. Takes note of a login, and sets is_excess and addresses of its change. */
enum relay_guard_answer relay_guard_judge(struct relay_guard *guard, struct relay_change *change,
                                          int64_t now);

/* Why it is not granted. */
void relay_guard_explain(const struct relay_guard *guard, struct strbuf *why);

/* The entries of the change's user, for the caller to remove and free() the list; returns how many. */
size_t relay_guard_list(const struct relay_guard *guard, const struct relay_change *change,
                        struct netaddr **list_out);

/* They were removed: so many. */
void relay_guard_withdrawn(struct relay_guard *guard, struct relay_change *change, size_t count);

#endif
