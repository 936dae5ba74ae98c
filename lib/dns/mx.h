/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mx - what the MX records of a domain say. Values, no I/O, safe for threads.
 */
#ifndef POSTERN_LIB_DNS_MX_H
#define POSTERN_LIB_DNS_MX_H

#include "lib/dns/dns_result.h"

#include <stdbool.h>
#include <stddef.h>

/* Is it a null MX (RFC 7505): one record, whose host is the root? The domain takes no mail. */
bool mx_is_null(const struct dns_result *mx);

/* How many of the records, from the first, have the best preference. */
size_t mx_best_count(const struct dns_result *mx);

/* Can this never be the host of an MX record (RFC 5321, 5.1): empty, or an address instead of a name? */
bool mx_host_is_illegal(const char *host);

/* The first record of an answer for A or AAAA whose address lies in one of the networks; NULL: none does. */
const struct dns_record *mx_find_address(const struct dns_result *addresses,
                                         const struct netaddr *networks, size_t count);

#endif
