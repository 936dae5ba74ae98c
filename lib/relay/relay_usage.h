/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_usage - how many recipients each address that logged in has sent to: in its hour, for a limit, and since the start, to be
 * shown.
 *
 * In memory, for this process alone; at most as many addresses as the store may have, of which the one that has been quiet for
 * longest makes room. Safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_USAGE_H
#define POSTERN_LIB_RELAY_RELAY_USAGE_H

#include "lib/relay/relay_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_USAGE_HOUR 3600

struct relay_usage;

struct relay_usage *relay_usage_new(size_t max_addresses);
void relay_usage_free(struct relay_usage **usage);

/* Another size; what is there already stays. */
void relay_usage_resize(struct relay_usage *usage, size_t max_addresses);

/*
 * One recipient more for `addr`, unless it has had `limit` (0: any number) in its hour, which begins with its first recipient. False: it had.
 */
bool relay_usage_charge(struct relay_usage *usage, const struct netaddr *addr, unsigned limit,
                        int64_t now);

/* A recipient was refused by others who count; for what is shown. */
void relay_usage_note_refused(struct relay_usage *usage, const struct netaddr *addr, int64_t now);

/* As relay_store_top(). */
size_t relay_usage_top(struct relay_usage *usage, struct relay_top *top, size_t size);

/* Of all addresses since the start. */
void relay_usage_totals(const struct relay_usage *usage, uint64_t *recipients_out,
                        uint64_t *refused_out);

#endif
