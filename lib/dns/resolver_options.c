/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/resolver_options.h"

#include <string.h>

#define DEFAULT_TIMEOUT_MS 3000
#define DEFAULT_TRIES 2

_Static_assert(RESOLVER_SERVERS_MAX == DNS_TRANSPORT_SERVERS_MAX, "servers fit");

static unsigned or_default(unsigned value, unsigned instead)
{
    return value > 0 ? value : instead;
}

enum status resolver_options_read(const struct resolver_options *options,
                                  struct dns_flight_options *out, struct strbuf *why)
{
    *out = (struct dns_flight_options){
        .timeout_ms = or_default(options->timeout_ms, DEFAULT_TIMEOUT_MS),
        .tries = or_default(options->tries, DEFAULT_TRIES),
    };
    if (options->server_count == 0) {
        return dns_transport_system_servers(out->servers, &out->server_count, why) == STATUS_OK
                   ? STATUS_OK
                   : STATUS_INVALID;
    }
    if (options->server_count > RESOLVER_SERVERS_MAX) {
        strbuf_appendf(why, "%zu DNS servers are more than the %d that can be asked",
                       options->server_count, RESOLVER_SERVERS_MAX);
        return STATUS_INVALID;
    }
    (void)memcpy(out->servers, options->servers,
                 options->server_count * sizeof(options->servers[0]));
    out->server_count = options->server_count;
    return STATUS_OK;
}

bool resolver_servers_differ(const struct dns_flight_options *a, const struct dns_flight_options *b)
{
    bool same = a->server_count == b->server_count;

    for (size_t i = 0; i < a->server_count && same; i++) {
        same = a->servers[i].port == b->servers[i].port &&
               netaddr_equal(&a->servers[i].addr, &b->servers[i].addr);
    }
    return !same;
}

bool resolver_options_differ(const struct dns_flight_options *a, const struct dns_flight_options *b)
{
    return a->timeout_ms != b->timeout_ms || a->tries != b->tries || resolver_servers_differ(a, b);
}
