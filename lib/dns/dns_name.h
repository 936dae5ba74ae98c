/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_name - names as they are asked of DNS: ASCII, lower case, absolute without the last dot.
 *
 * What a client sent (a domain of an address, a HELO name) passes dns_name_normalize() before it is asked. No I/O, safe for threads.
 */
#ifndef POSTERN_LIB_DNS_DNS_NAME_H
#define POSTERN_LIB_DNS_DNS_NAME_H

#include "lib/mail/netaddr.h"

#include <stdbool.h>
#include <stddef.h>

/* Room for the longest name that can be asked: 253 bytes (RFC 1035 2.3.4), and the NUL byte. */
#define DNS_NAME_SIZE 254

/* Room for the longest name that an answer can hold, where each byte may be written as `\DDD`. */
#define DNS_NAME_TEXT_SIZE 1012

/*
 * The name as it is asked: U-labels become A-labels, letters lower case, one dot at the end is dropped. False if no such name can
 * exist in DNS (empty, a label empty or longer than 63 bytes, longer than 253 bytes, a blank, control character or backslash in it,
 * a domain literal, not UTF-8); `out` is then "". Underscores and the like are legal here: see dns_name_is_host().
 */
bool dns_name_normalize(const char *name, char out[DNS_NAME_SIZE]);

/* Can this name be asked as it stands? */
bool dns_name_is_valid(const char *name);

/* Is it the name of a host (RFC 1123 2.1): letters, digits and inner hyphens, two labels at least, the last one not all digits? */
bool dns_name_is_host(const char *name);

/* Room for an address reversed. */
#define DNS_NAME_REVERSED_SIZE 64

/* "1.2.0.192" of 192.0.2.1, or the 32 nibbles of an IPv6 address: what stands before a zone. Returns its length, 0: it is no address. */
size_t dns_name_reversed(const struct netaddr *addr, char out[DNS_NAME_REVERSED_SIZE]);

/*
 * The name under which an address stands in `zone`: 192.0.2.1 is "1.2.0.192.ZONE", an IPv6 address its 32 nibbles (RFC 5782 2.4). `zone`
 * NULL: that of reverse names, in-addr.arpa or ip6.arpa. False: no address, or the zone is no name or too long.
 */
bool dns_name_reverse(const struct netaddr *addr, const char *zone, char out[DNS_NAME_SIZE]);

/* "NAME.ZONE", normalized: lists of domains. False: one is no name, or both together are too long. */
bool dns_name_under(const char *name, const char *zone, char out[DNS_NAME_SIZE]);

/* The same name, whatever case and whether or not it ends in a dot? */
bool dns_name_equal(const char *a, const char *b);

#endif
