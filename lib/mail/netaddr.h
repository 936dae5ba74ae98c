/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netaddr - an IPv4 or IPv6 address, with a prefix length where a network is meant.
 *
 * Text is what Sendmail writes and an access map holds: IPv4 as `192.0.2.1`, IPv6 as
 * `IPv6:2001:db8:0:0:0:0:0:1` with all eight groups. IPv4-mapped IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
 * Values; no I/O, safe for threads.
 */
#ifndef POSTERN_LIB_MAIL_NETADDR_H
#define POSTERN_LIB_MAIL_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the longest text, `IPv6:` + 39 + `/128`, and the NUL byte. */
#define NETADDR_TEXT_SIZE 56

enum netaddr_family { NETADDR_NONE, NETADDR_IPV4, NETADDR_IPV6 };

struct netaddr {
    enum netaddr_family family;
    uint8_t bits; /* prefix length; 32 or 128 for a single address */
    uint8_t bytes[16];
};

/*
 * Reads an address: `192.0.2.1`, `2001:db8::1`, `IPv6:2001:db8::1` (prefix in any case). False if `text` is none; then
 * *out has the family NETADDR_NONE.
 */
bool netaddr_parse(const char *text, struct netaddr *out);

/*
 * Reads an address or network as a rule file may name it: an address, a Sendmail prefix of whole octets (`192.0.2`) or
 * of whole groups (`IPv6:2001:db8`, also `IPv6` alone), or `address/length`. IPv6 may be compressed. False if
 * it is none of these, or has bits set behind the prefix length (then *out holds what was meant, masked, and
 * *host_bits_out is true).
 */
bool netaddr_parse_network(const char *text, struct netaddr *out, bool *host_bits_out);

/* Number of bits of an address of this family: 32, 128 or 0. */
unsigned netaddr_width(enum netaddr_family family);

/* Is `addr` inside `network`? Never for different families. */
bool netaddr_contains(const struct netaddr *network, const struct netaddr *addr);

/* The address cut to its first `bits` bits. */
struct netaddr netaddr_masked(const struct netaddr *addr, unsigned bits);

/* Same family, prefix length and bits? */
bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);

/*
 * The one text of an address or network that lookups and maps use: whole octets or groups as Sendmail writes them
 * (`192.0.2`, `IPv6:2001:db8`; nothing after the last whole one), other lengths as `192.0.2.0/25` and
 * `IPv6:2001:db8:0:0:0:0:0:0/33`. Length 0 is `0.0.0.0/0` and `IPv6`. Returns `buf`.
 */
const char *netaddr_format(const struct netaddr *addr, char buf[NETADDR_TEXT_SIZE]);

/* An address, without its prefix length, as Postfix writes it: `192.0.2.1`, `2001:db8::1`; of NETADDR_NONE "". Returns `buf`. */
const char *netaddr_format_short(const struct netaddr *addr, char buf[NETADDR_TEXT_SIZE]);

#endif
