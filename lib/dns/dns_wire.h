/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_wire - the parts of a DNS message: numbers, names, records (RFC 1035 3.2.1, 4.1.4).
 *
 * Everything takes any bytes and reads none beyond the message. No I/O, safe for threads.
 */
#ifndef POSTERN_LIB_DNS_DNS_WIRE_H
#define POSTERN_LIB_DNS_DNS_WIRE_H

#include "lib/dns/dns_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_WIRE_CLASS_IN 1u

struct dns_wire {
    const uint8_t *data;
    size_t len;
};

/* A record where it lies: offsets into the message, all of it inside. */
struct dns_wire_record {
    size_t owner;
    size_t data;
    size_t data_len;
    unsigned type;
    unsigned class;
    uint32_t ttl;
};

/* Numbers in network order. */
unsigned dns_wire_get16(const uint8_t *at);
uint32_t dns_wire_get32(const uint8_t *at);

/*
 * Reads the name at `at` as text: lower case, "" for the root, bytes that are not printable, dots and backslashes inside a label as
 * `\DDD`. Pointers lead backwards only, so that there is no circle. Returns the offset behind the name as it lies there, or 0 if it is
 * none.
 */
size_t dns_wire_name(const struct dns_wire *wire, size_t at, char out[DNS_NAME_TEXT_SIZE]);

/* Does this name own the record? */
bool dns_wire_is_owner(const struct dns_wire *wire, const struct dns_wire_record *record,
                       const char *name);

/* Reads the record at *at and moves that behind it. A TTL with its highest bit set is 0 (RFC 2181 8). */
bool dns_wire_record(const struct dns_wire *wire, size_t *at, struct dns_wire_record *out);

#endif
