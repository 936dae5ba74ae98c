/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config_relay.h"

#include "lib/base/xalloc.h"
#include "lib/policy/config_relay_keys.h"

#include <stdlib.h>

static unsigned get_word(cfg_t *section, enum config_relay_words which, const char *key)
{
    unsigned value = 0;

    (void)config_relay_keys_word(which, cfg_getstr(section, key), &value);
    return value;
}

static unsigned get_number(cfg_t *section, const char *key)
{
    return (unsigned)cfg_getint(section, key);
}

/* libConfuse calls every section set. */
static bool was_set(cfg_t *section)
{
    for (cfg_opt_t *opt = section->opts; opt->name != NULL; opt++) {
        if (opt->type != CFGT_FUNC && (opt->flags & CFGF_MODIFIED) != 0) {
            return true;
        }
    }
    return false;
}

void config_relay_get(cfg_t *cfg, struct config_relay_store *out)
{
    cfg_t *section = cfg_getsec(cfg, "relay_store");

    *out = (struct config_relay_store){
        .backend = (enum relay_backend)get_word(section, CONFIG_RELAY_BACKEND, "backend"),
        .file = xstrdup(cfg_getstr(section, "file")),
        .redis_url = xstrdup(cfg_getstr(section, "redis_url")),
        .redis_password_file = xstrdup(cfg_getstr(section, "redis_password_file")),
        .redis_ca_file = xstrdup(cfg_getstr(section, "redis_ca_file")),
        .redis_key_prefix = xstrdup(cfg_getstr(section, "redis_key_prefix")),
        .timeout_ms = get_number(section, "timeout_ms"),
        .terms =
            {
                .window_minutes = get_number(section, "window_minutes"),
                .max_entries = (size_t)cfg_getint(section, "max_entries"),
                .ipv6_prefix_bits = get_number(section, "ipv6_prefix_bits"),
                .addresses_per_user = get_number(section, "addresses_per_user"),
                .addresses_exceeded = (enum relay_excess)get_word(section, CONFIG_RELAY_EXCESS,
                                                                  "addresses_exceeded"),
            },
        .session_max_hours = get_number(section, "session_max_hours"),
        .max_sessions = (size_t)cfg_getint(section, "max_sessions"),
        .grant_senders = (enum config_grant_senders)get_word(section, CONFIG_RELAY_SENDERS,
                                                             "grant_senders"),
        .recipients_per_message = get_number(section, "recipients_per_message"),
        .recipients_per_hour = get_number(section, "recipients_per_hour"),
        .was_set = was_set(section),
    };
}

struct relay_store_options config_relay_options(const struct config_relay_store *store)
{
    return (struct relay_store_options){
        .backend = store->backend,
        .file = store->file,
        .redis =
            {
                .url = store->redis_url,
                .password_file = store->redis_password_file,
                .ca_file = store->redis_ca_file,
                .key_prefix = store->redis_key_prefix,
                .timeout_ms = store->timeout_ms,
            },
        .terms = store->terms,
    };
}

struct relay_sessions_terms config_relay_sessions(const struct config_relay_store *store)
{
    return (struct relay_sessions_terms){
        .max_hours = store->session_max_hours,
        .max_sessions = store->max_sessions,
        .window_minutes = store->terms.window_minutes,
        .ipv6_prefix_bits = store->terms.ipv6_prefix_bits,
    };
}

void config_relay_fini(struct config_relay_store *store)
{
    free(store->file);
    free(store->redis_url);
    free(store->redis_password_file);
    free(store->redis_ca_file);
    free(store->redis_key_prefix);
}
