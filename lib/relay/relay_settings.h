/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_settings - the terms of a store while it is open: a reload sets them, and all threads read them. For all kinds of stores.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_SETTINGS_H
#define POSTERN_LIB_RELAY_RELAY_SETTINGS_H

#include "lib/base/strbuf.h"
#include "lib/relay/relay_store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What a reload may change; read by other threads too. */
struct relay_settings {
    atomic_uint window_minutes;
    atomic_size_t max_entries;
    atomic_uint ipv6_prefix_bits;
    atomic_uint addresses_per_user;
    atomic_uint addresses_exceeded; /* enum relay_excess */
};

/* Each of them on its own: who reads may see some of before. Safe for threads. */
void relay_settings_set(struct relay_settings *settings, const struct relay_terms *terms);

/* May all entries be replaced by those of this RELAY_REPLACE? False: `why` says which of them may not be kept. */
bool relay_settings_admit_all(const struct relay_settings *settings,
                              const struct relay_change *change, struct strbuf *why);

#endif
