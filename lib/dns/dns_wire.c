/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_wire.h"

#include <string.h>

/* A name has 127 labels at most, and each may be reached by a pointer. */
#define STEPS_MAX 256u

unsigned dns_wire_get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

uint32_t dns_wire_get32(const uint8_t *at)
{
    return (uint32_t)dns_wire_get16(at) << 16 | dns_wire_get16(at + 2);
}

/* The byte of a label as text; a letter in lower case. */
static size_t put_byte(char *out, uint8_t byte)
{
    if (byte <= ' ' || byte >= 0x7f || byte == '.' || byte == '\\') {
        /* By hand: an answer may hold tens of thousands of them, many times over by pointers. */
        out[0] = '\\';
        out[1] = (char)('0' + byte / 100);
        out[2] = (char)('0' + byte / 10 % 10);
        out[3] = (char)('0' + byte % 10);
        return 4;
    }
    *out = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    return 1;
}

size_t dns_wire_name(const struct dns_wire *wire, size_t at, char out[DNS_NAME_TEXT_SIZE])
{
    size_t text = 0;
    size_t total = 1;
    size_t end = 0;
    size_t lowest = at;

    for (unsigned step = 0; step < STEPS_MAX && at < wire->len; step++) {
        unsigned len = wire->data[at];

        if (len == 0) {
            out[text] = '\0';
            return end != 0 ? end : at + 1;
        }
        if (len >= 0xc0) {
            if (at + 2 > wire->len) {
                return 0;
            }
            size_t target = dns_wire_get16(wire->data + at) & 0x3fff;

            end = end != 0 ? end : at + 2;
            if (target >= lowest) {
                return 0;
            }
            lowest = at = target;
            continue;
        }
        total += len + 1;
        if (len > 63 || at + 1 + len > wire->len || total > 255) {
            return 0;
        }
        if (text > 0) {
            out[text++] = '.';
        }
        for (unsigned i = 1; i <= len; i++) {
            text += put_byte(out + text, wire->data[at + i]);
        }
        at += 1 + len;
    }
    return 0;
}

bool dns_wire_is_owner(const struct dns_wire *wire, const struct dns_wire_record *record,
                       const char *name)
{
    char owner[DNS_NAME_TEXT_SIZE];

    return dns_wire_name(wire, record->owner, owner) != 0 && strcmp(owner, name) == 0;
}

bool dns_wire_record(const struct dns_wire *wire, size_t *at, struct dns_wire_record *out)
{
    char owner[DNS_NAME_TEXT_SIZE];
    size_t fixed = dns_wire_name(wire, *at, owner);

    if (fixed == 0 || wire->len - fixed < 10) {
        return false;
    }
    const uint8_t *bytes = wire->data + fixed;
    uint32_t ttl = dns_wire_get32(bytes + 4);

    out->owner = *at;
    out->type = dns_wire_get16(bytes);
    out->class = dns_wire_get16(bytes + 2);
    out->ttl = ttl > INT32_MAX ? 0 : ttl; /* RFC 2181 8 */
    out->data_len = dns_wire_get16(bytes + 8);
    out->data = fixed + 10;
    *at = out->data + out->data_len;
    return *at <= wire->len;
}
