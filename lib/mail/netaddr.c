/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "lib/mail/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IPV4_BITS 32u
#define IPV6_BITS 128u
#define IPV6_GROUPS 8u
#define MAPPED_BITS 96u /* ::ffff:0:0/96 holds the IPv4 addresses */
#define IPV6_TAG "IPv6"
#define IPV6_TAG_LEN 4u

static const uint8_t mapped_prefix[MAPPED_BITS / 8] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

unsigned netaddr_width(enum netaddr_family family)
{
    switch (family) {
    case NETADDR_IPV4:
        return IPV4_BITS;
    case NETADDR_IPV6:
        return IPV6_BITS;
    case NETADDR_NONE:
        break;
    }
    return 0;
}

/* Reads a decimal number of at most three digits up to the end of the text or `end`; -1 if it is none. */
static int parse_number(const char **text, char end)
{
    const char *at = *text;
    int number = 0;

    while (*at >= '0' && *at <= '9' && at - *text < 3) {
        number = number * 10 + (*at++ - '0');
    }
    if (at == *text || (*at != '\0' && *at != end)) {
        return -1;
    }
    *text = at;
    return number;
}

/*
 * One to four octets in decimal. Leading zeros are refused: what reads 010 as 8 and what reads it as 10 must not disagree.
 * Returns the number of octets, 0 if `text` is something else.
 */
static unsigned parse_octets(const char *text, uint8_t bytes[4])
{
    for (unsigned count = 0; count < 4; count++) {
        const char *first = text;
        int octet = parse_number(&text, '.');

        if (octet < 0 || octet > 255 || (*first == '0' && text - first > 1)) {
            return 0;
        }
        bytes[count] = (uint8_t)octet;
        if (*text == '\0') {
            return count + 1;
        }
        text++;
    }
    return 0;
}

/* Eight groups written out or compressed, perhaps with an IPv4 address as the last two. */
static bool parse_ipv6(const char *text, uint8_t bytes[16])
{
    return inet_pton(AF_INET6, text, bytes) == 1;
}

/* One to eight groups of one to four hexadecimal digits. Returns their number, 0 if `text` is something else. */
static unsigned parse_groups(const char *text, uint8_t bytes[16])
{
    for (unsigned count = 0; count < IPV6_GROUPS; count++) {
        unsigned group = 0;
        unsigned digits = 0;

        for (; *text != '\0' && *text != ':'; text++, digits++) {
            const char *hex = "0123456789abcdef";
            const char *found = strchr(hex, *text | ((*text >= 'A' && *text <= 'F') ? 0x20 : 0));

            if (found == NULL || digits == 4) {
                return 0;
            }
            group = group << 4 | (unsigned)(found - hex);
        }
        if (digits == 0) {
            return 0;
        }
        bytes[2 * count] = (uint8_t)(group >> 8);
        bytes[2 * count + 1] = (uint8_t)group;
        if (*text == '\0') {
            return count + 1;
        }
        text++;
    }
    return 0;
}

/* Turns an IPv4-mapped address or network into the IPv4 one. */
static void unmap(struct netaddr *addr)
{
    if (addr->family != NETADDR_IPV6 || addr->bits < MAPPED_BITS ||
        memcmp(addr->bytes, mapped_prefix, sizeof(mapped_prefix)) != 0) {
        return;
    }
    memmove(addr->bytes, addr->bytes + sizeof(mapped_prefix), 4);
    memset(addr->bytes + 4, 0, sizeof(addr->bytes) - 4);
    addr->family = NETADDR_IPV4;
    addr->bits = (uint8_t)(addr->bits - MAPPED_BITS);
}

/* Does the text begin with `IPv6`, and then a colon or nothing? */
static bool has_tag(const char *text)
{
    return strncasecmp(text, IPV6_TAG, IPV6_TAG_LEN) == 0 &&
           (text[IPV6_TAG_LEN] == ':' || text[IPV6_TAG_LEN] == '\0');
}

/* An address of full width, before unmapping. */
static bool parse_address(const char *text, struct netaddr *out)
{
    *out = (struct netaddr){.family = NETADDR_NONE};
    if (has_tag(text)) {
        if (text[IPV6_TAG_LEN] == '\0') {
            return false;
        }
        text += IPV6_TAG_LEN + 1;
    } else if (parse_octets(text, out->bytes) == 4) {
        out->family = NETADDR_IPV4;
        out->bits = IPV4_BITS;
        return true;
    }
    if (!parse_ipv6(text, out->bytes)) {
        *out = (struct netaddr){.family = NETADDR_NONE};
        return false;
    }
    out->family = NETADDR_IPV6;
    out->bits = IPV6_BITS;
    return true;
}

bool netaddr_parse(const char *text, struct netaddr *out)
{
    bool found = parse_address(text, out);

    unmap(out);
    return found;
}

/* Sendmail's prefixes: `192.0.2`, `IPv6:2001:db8`, `IPv6`. They are what they are: nothing is unmapped. */
static bool parse_prefix(const char *text, struct netaddr *out)
{
    unsigned count;

    *out = (struct netaddr){.family = NETADDR_NONE};
    if (!has_tag(text)) {
        count = parse_octets(text, out->bytes);
        if (count == 0) {
            *out = (struct netaddr){.family = NETADDR_NONE};
            return false;
        }
        out->family = NETADDR_IPV4;
        out->bits = (uint8_t)(count * 8);
        return true;
    }
    count = 0;
    if (text[IPV6_TAG_LEN] == ':') {
        count = parse_groups(text + IPV6_TAG_LEN + 1, out->bytes);
        if (count == 0) {
            *out = (struct netaddr){.family = NETADDR_NONE};
            return false;
        }
    }
    out->family = NETADDR_IPV6;
    out->bits = (uint8_t)(count * 16);
    return true;
}

/* `address/length` with the slash at `slash`. */
static bool parse_cidr(const char *text, const char *slash, struct netaddr *out,
                       bool *host_bits_out)
{
    char address[NETADDR_TEXT_SIZE];
    size_t len = (size_t)(slash - text);
    const char *digits = slash + 1;
    int bits = parse_number(&digits, '\0');

    *out = (struct netaddr){.family = NETADDR_NONE};
    if (len >= sizeof(address) || bits < 0 || (slash[1] == '0' && slash[2] != '\0')) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';

    struct netaddr given;

    if (!parse_address(address, &given) || (unsigned)bits > netaddr_width(given.family)) {
        return false;
    }
    *out = netaddr_masked(&given, (unsigned)bits);
    *host_bits_out = memcmp(out->bytes, given.bytes, sizeof(given.bytes)) != 0;
    unmap(out);
    return !*host_bits_out;
}

bool netaddr_parse_network(const char *text, struct netaddr *out, bool *host_bits_out)
{
    const char *slash = strchr(text, '/');

    *host_bits_out = false;
    if (slash != NULL) {
        return parse_cidr(text, slash, out, host_bits_out);
    }
    return netaddr_parse(text, out) || parse_prefix(text, out);
}

struct netaddr netaddr_masked(const struct netaddr *addr, unsigned bits)
{
    struct netaddr masked = *addr;
    unsigned width = netaddr_width(addr->family);

    if (bits > width) {
        bits = width;
    }
    if (bits < masked.bits) {
        masked.bits = (uint8_t)bits;
    }
    for (unsigned i = 0; i < sizeof(masked.bytes); i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;

        if (kept < 8) {
            masked.bytes[i] &= (uint8_t)(0xff00u >> kept);
        }
    }
    return masked;
}

bool netaddr_contains(const struct netaddr *network, const struct netaddr *addr)
{
    if (network->family != addr->family || network->family == NETADDR_NONE ||
        addr->bits < network->bits) {
        return false;
    }
    struct netaddr masked = netaddr_masked(addr, network->bits);

    return netaddr_equal(network, &masked);
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == b->family && a->bits == b->bits &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Writes a number in decimal or hexadecimal without leading zeros; returns the place behind it. */
static char *put_number(char *at, unsigned number, unsigned base)
{
    char digits[8];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

static char *put_octets(char *at, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) {
            *at++ = '.';
        }
        at = put_number(at, bytes[i], 10);
    }
    return at;
}

static char *put_groups(char *at, const uint8_t *bytes, unsigned count)
{
    memcpy(at, IPV6_TAG, IPV6_TAG_LEN);
    at += IPV6_TAG_LEN;
    for (unsigned i = 0; i < count; i++) {
        *at++ = ':';
        at = put_number(at, (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1], 16);
    }
    return at;
}

static char *put_length(char *at, unsigned bits)
{
    *at++ = '/';
    return put_number(at, bits, 10);
}

const char *netaddr_format(const struct netaddr *addr, char buf[NETADDR_TEXT_SIZE])
{
    char *at = buf;

    if (addr->family == NETADDR_IPV4) {
        bool whole = addr->bits % 8 == 0 && addr->bits > 0;

        at = put_octets(at, addr->bytes, whole ? addr->bits / 8 : 4);
        at = whole ? at : put_length(at, addr->bits);
    } else if (addr->family == NETADDR_IPV6) {
        bool whole = addr->bits % 16 == 0;

        at = put_groups(at, addr->bytes, whole ? addr->bits / 16 : IPV6_GROUPS);
        at = whole ? at : put_length(at, addr->bits);
    }
    *at = '\0';
    return buf;
}

const char *netaddr_format_short(const struct netaddr *addr, char buf[NETADDR_TEXT_SIZE])
{
    int family = addr->family == NETADDR_IPV6 ? AF_INET6 : AF_INET;

    buf[0] = '\0';
    if (addr->family != NETADDR_NONE) {
        (void)!inet_ntop(family, addr->bytes, buf, NETADDR_TEXT_SIZE);
    }
    return buf;
}
