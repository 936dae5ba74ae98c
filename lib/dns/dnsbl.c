/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dnsbl.h"

#include <stdlib.h>
#include <string.h>

#define LOOPBACK_FIRST 0x7f000000u /* 127.0.0.0/8 */
#define LOOPBACK_LAST 0x7fffffffu
#define LOOPBACK_ITSELF 0x7f000001u /* 127.0.0.1 */
#define REFUSALS_FIRST 0x7fffff00u  /* 127.255.255.0/24 */

static uint32_t number_of(const struct netaddr *addr)
{
    const uint8_t *bytes = addr->bytes;

    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The IPv4 address in the first `len` bytes of the text, a dot at its end or not. */
static bool parse_ipv4(const char *text, size_t len, struct netaddr *out)
{
    char copy[sizeof("255.255.255.255")];

    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    return netaddr_parse(copy, out) && out->family == NETADDR_IPV4;
}

/* What stands behind the slash. */
static bool parse_bits(const char *text, unsigned *bits_out)
{
    char *end;
    unsigned long bits = strtoul(text, &end, 10);

    *bits_out = (unsigned)bits;
    return *text >= '0' && *text <= '9' && *end == '\0' && bits <= 32;
}

static bool parse_network(const char *text, size_t len, struct dnsbl_range *out)
{
    struct netaddr addr;
    unsigned bits;

    if (!parse_ipv4(text, len, &addr) || !parse_bits(text + len + 1, &bits)) {
        return false;
    }
    uint32_t hosts = bits == 0 ? UINT32_MAX : bits == 32 ? 0 : UINT32_MAX >> bits;

    out->first = number_of(&addr);
    out->last = out->first | hosts;
    return (out->first & hosts) == 0;
}

bool dnsbl_range_parse(const char *text, struct dnsbl_range *out, bool *usable_out)
{
    size_t len = strcspn(text, "-/");
    struct netaddr first;
    struct netaddr last;

    *usable_out = false;
    if (text[len] == '/') {
        if (!parse_network(text, len, out)) {
            return false;
        }
    } else {
        const char *rest = text[len] == '-' ? text + len + 1 : text;

        if (!parse_ipv4(text, len, &first) || !parse_ipv4(rest, strlen(rest), &last)) {
            return false;
        }
        *out = (struct dnsbl_range){number_of(&first), number_of(&last)};
    }
    if (out->first > out->last) {
        return false;
    }
    *usable_out = out->first >= LOOPBACK_FIRST && out->last <= LOOPBACK_LAST &&
                  (out->first != LOOPBACK_ITSELF || out->last != LOOPBACK_ITSELF) &&
                  out->first < REFUSALS_FIRST;
    return true;
}

static bool is_error(const struct netaddr *addr)
{
    uint32_t number = number_of(addr);

    return addr->family != NETADDR_IPV4 || number < LOOPBACK_FIRST || number > LOOPBACK_LAST ||
           number == LOOPBACK_ITSELF || number >= REFUSALS_FIRST;
}

static bool counts(const struct netaddr *addr, const struct dnsbl_match *match)
{
    uint32_t number = number_of(addr);

    for (size_t i = 0; i < match->count; i++) {
        if (number >= match->ranges[i].first && number <= match->ranges[i].last) {
            return true;
        }
    }
    return match->count == 0;
}

/* One record that is an error spoils the whole answer: the others are as little to be trusted. */
static enum dnsbl_sense judge_records(const struct dns_result *result,
                                      const struct dnsbl_match *match,
                                      const struct dns_record **record)
{
    enum dnsbl_sense sense = DNSBL_CLEAN;

    for (size_t i = 0; i < result->count; i++) {
        const struct netaddr *addr = &result->records[i].addr;

        if (is_error(addr)) {
            *record = &result->records[i];
            return DNSBL_ERROR;
        }
        if (sense == DNSBL_CLEAN) {
            sense = counts(addr, match) ? DNSBL_LISTED : DNSBL_CLEAN;
            *record = sense == DNSBL_LISTED || i == 0 ? &result->records[i] : *record;
        }
    }
    return sense;
}

enum dnsbl_sense dnsbl_judge(const struct dns_result *result, const struct dnsbl_match *match,
                             const struct dns_record **record_out)
{
    const struct dns_record *record = NULL;
    enum dnsbl_sense sense = DNSBL_CLEAN;

    if (result->status == DNS_TEMPFAIL) {
        sense = DNSBL_UNKNOWN;
    } else if (result->status == DNS_FOUND) {
        sense = judge_records(result, match, &record);
    }
    if (record_out != NULL) {
        *record_out = record;
    }
    return sense;
}
