/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_options.h"

struct resolver_options dns_options(const struct config_dns *dns)
{
    return (struct resolver_options){
        .servers = dns->servers,
        .server_count = dns->server_count,
        .timeout_ms = dns->timeout_ms,
        .tries = dns->tries,
        .cache_entries = dns->cache_entries,
    };
}
