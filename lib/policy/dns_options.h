/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_options - what configuration says of the resolver.
 */
#ifndef POSTERN_LIB_POLICY_DNS_OPTIONS_H
#define POSTERN_LIB_POLICY_DNS_OPTIONS_H

#include "lib/dns/resolver.h"
#include "lib/policy/config_dns.h"

/* For resolver_new() and resolver_configure(); lives as long as the configuration. */
struct resolver_options dns_options(const struct config_dns *dns);

#endif
