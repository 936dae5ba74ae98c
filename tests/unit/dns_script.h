/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_script - a resolver without a network, that knows a zone as dns_kit.h describes it. SILENT names are never answered, DELAY is none.
 */
#ifndef POSTERN_TESTS_UNIT_DNS_SCRIPT_H
#define POSTERN_TESTS_UNIT_DNS_SCRIPT_H

#include "lib/dns/resolver.h"

struct dns_script;

struct dns_script *dns_script_new(const char *zone);
void dns_script_free(struct dns_script **script);

/* Lives as long as the script. */
struct resolver *dns_script_resolver(const struct dns_script *script);

#endif
