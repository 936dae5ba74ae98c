/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_settings.h"

void relay_settings_set(struct relay_settings *settings, const struct relay_terms *terms)
{
    atomic_store(&settings->window_minutes, terms->window_minutes);
    atomic_store(&settings->max_entries, terms->max_entries);
    atomic_store(&settings->ipv6_prefix_bits, terms->ipv6_prefix_bits);
    atomic_store(&settings->addresses_per_user, terms->addresses_per_user);
    atomic_store(&settings->addresses_exceeded, (unsigned)terms->addresses_exceeded);
}

bool relay_settings_admit_all(const struct relay_settings *settings,
                              const struct relay_change *change, struct strbuf *why)
{
    char key[RELAY_KEY_SIZE];
    const char *reason;

    if (change->entry_count > atomic_load(&settings->max_entries)) {
        strbuf_appendf(why,
                       "%zu entries are more than the store may have (relay_store: max_entries)",
                       change->entry_count);
        return false;
    }
    for (size_t i = 0; i < change->entry_count; i++) {
        if (!relay_entry_is_sound(&change->entries[i], &reason)) {
            strbuf_appendf(why, "%s: %s", relay_entry_key(&change->entries[i].addr, key), reason);
            return false;
        }
    }
    return true;
}
