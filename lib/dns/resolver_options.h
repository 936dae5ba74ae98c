/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resolver_options - what a resolver is asked for, with all that was not said filled in.
 */
#ifndef POSTERN_LIB_DNS_RESOLVER_OPTIONS_H
#define POSTERN_LIB_DNS_RESOLVER_OPTIONS_H

#include "lib/dns/dns_flight.h"
#include "lib/dns/resolver.h"

#include <stdbool.h>

/* Servers, and how they are asked. STATUS_INVALID: they cannot be used, `why` says why. */
enum status resolver_options_read(const struct resolver_options *options,
                                  struct dns_flight_options *out, struct strbuf *why);

/* Do they ask others? */
bool resolver_servers_differ(const struct dns_flight_options *a,
                             const struct dns_flight_options *b);

/* Do they ask others, or in other ways? */
bool resolver_options_differ(const struct dns_flight_options *a,
                             const struct dns_flight_options *b);

#endif
