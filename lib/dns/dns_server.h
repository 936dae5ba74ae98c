/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_server - where a DNS server listens, as configuration names it.
 */
#ifndef POSTERN_LIB_DNS_DNS_SERVER_H
#define POSTERN_LIB_DNS_DNS_SERVER_H

#include "lib/mail/netaddr.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_SERVER_PORT 53

/* Room for "[ADDRESS]:PORT" and the NUL byte. */
#define DNS_SERVER_TEXT_SIZE (NETADDR_TEXT_SIZE + 8)

struct dns_server {
    struct netaddr addr;
    uint16_t port;
};

/*
 * Reads "127.0.0.1", "127.0.0.1:5353", "::1", "[::1]" or "[::1]:5353". False: it is none of these, or it may be two of them, as "::1:5353" may: an
 * address, or another one with a port.
 */
bool dns_server_parse(const char *text, struct dns_server *out);

/* Is it an IPv6 address whose last number may be a port, too? */
bool dns_server_is_ambiguous(const char *text);

/* "127.0.0.1:53", "[::1]:53". Returns `buf`. */
const char *dns_server_format(const struct dns_server *server, char buf[DNS_SERVER_TEXT_SIZE]);

#endif
