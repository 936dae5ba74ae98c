/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relayaddr - the clients of the POP-before-SMTP benchmarks: the same for each number, in all programs.
 */
#ifndef POSTERN_TESTS_BENCH_RELAYADDR_H
#define POSTERN_TESTS_BENCH_RELAYADDR_H

#include "lib/mail/netaddr.h"

#include <stdint.h>

/* One in four is IPv6, each of a /64 of its own; the others are in 10/8. Up to 2^24 of them. */
static inline struct netaddr relayaddr(uint32_t number)
{
    struct netaddr addr = {.family = NETADDR_IPV4, .bits = 32, .bytes = {10}};
    unsigned at = 1;

    if (number % 4 == 3) {
        addr = (struct netaddr){
            .family = NETADDR_IPV6, .bits = 128, .bytes = {0x20, 0x01, 0x0d, 0xb8}};
        addr.bytes[15] = 1;
        at = 5;
    }
    addr.bytes[at] = (uint8_t)(number >> 16);
    addr.bytes[at + 1] = (uint8_t)(number >> 8);
    addr.bytes[at + 2] = (uint8_t)number;
    return addr;
}

#endif
