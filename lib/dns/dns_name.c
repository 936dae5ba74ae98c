/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_name.h"
#include "lib/mail/domain.h"
#include "lib/mail/idna.h"

#include <string.h>
#include <strings.h>

#define DNS_NAME_MAX_LABEL 63u

_Static_assert(DNS_NAME_SIZE == IDNA_NAME_SIZE, "a name that IDNA made fits");

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Printable ASCII but blanks, the backslash that would begin an escape, and the brackets of domain literals. */
static bool may_stand_in_name(char c)
{
    return c > ' ' && c < 0x7f && c != '\\' && c != '[' && c != ']';
}

bool dns_name_is_valid(const char *name)
{
    size_t label = 0;
    const char *at = name;

    for (; *at != '\0'; at++) {
        if (*at == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!may_stand_in_name(*at) || ++label > DNS_NAME_MAX_LABEL) {
            return false;
        }
    }
    return label > 0 && at - name < DNS_NAME_SIZE;
}

/* What a byte of a name is in a normalized one; '\0': it may not stand there. */
static char folded(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : may_stand_in_name(c) ? c : '\0';
}

/*
 * One pass for what nearly all names are, as each list is asked under a name of its own: ASCII. Returns the length; 0: it is no name, or
 * has other bytes.
 */
static size_t normalize_ascii(const char *name, char out[DNS_NAME_SIZE])
{
    size_t label = 0;
    size_t len = 0;

    for (; name[len] != '\0'; len++) {
        if (len >= DNS_NAME_SIZE - 1) {
            return name[len] == '.' && name[len + 1] == '\0' && label > 0 ? len : 0;
        }
        char c = name[len];

        if (c == '.') {
            if (label == 0) {
                return 0;
            }
            if (name[len + 1] == '\0') {
                return len;
            }
            label = 0;
        } else {
            c = folded(c);
            if (c == '\0' || ++label > DNS_NAME_MAX_LABEL) {
                return 0;
            }
        }
        out[len] = c;
    }
    return len;
}

static bool normalize_other(const char *name, char out[DNS_NAME_SIZE])
{
    char copy[4 * DNS_NAME_SIZE];
    size_t len = strlen(name);

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len >= sizeof(copy)) {
        return false;
    }
    (void)memcpy(copy, name, len);
    copy[len] = '\0';
    return idna_to_ascii(copy, out) && dns_name_is_valid(out);
}

bool dns_name_normalize(const char *name, char out[DNS_NAME_SIZE])
{
    size_t len = normalize_ascii(name, out);

    out[len] = '\0';
    if (len > 0) {
        return true;
    }
    if (!idna_is_needed(name) || !normalize_other(name, out)) {
        out[0] = '\0';
        return false;
    }
    return true;
}

bool dns_name_is_host(const char *name)
{
    const char *last = name;

    if (!dns_name_is_valid(name)) {
        return false;
    }
    for (const char *at = name; *at != '\0'; at++) {
        bool edge = at == name || at[-1] == '.' || at[1] == '.' || at[1] == '\0';

        if (*at == '.') {
            last = at + 1;
        } else if (!is_digit(*at) && !is_letter(*at) && (*at != '-' || edge)) {
            return false;
        }
    }
    return last != name && strspn(last, "0123456789") < strlen(last);
}

bool dns_name_under(const char *name, const char *zone, char out[DNS_NAME_SIZE])
{
    char second[DNS_NAME_SIZE];

    if (!dns_name_normalize(name, out) || !dns_name_normalize(zone, second)) {
        out[0] = '\0';
        return false;
    }
    size_t first_len = strlen(out);
    size_t second_len = strlen(second);

    if (first_len + 1 + second_len >= DNS_NAME_SIZE) {
        out[0] = '\0';
        return false;
    }
    out[first_len] = '.';
    (void)memcpy(out + first_len + 1, second, second_len + 1);
    return true;
}

/* A byte in decimal; returns what stands behind it. */
static char *put_number(char *out, unsigned byte)
{
    if (byte >= 100) {
        *out++ = (char)('0' + byte / 100);
    }
    if (byte >= 10) {
        *out++ = (char)('0' + byte / 10 % 10);
    }
    *out++ = (char)('0' + byte % 10);
    return out;
}

size_t dns_name_reversed(const struct netaddr *addr, char out[DNS_NAME_REVERSED_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = addr->bytes;
    char *end = out;

    if (addr->family == NETADDR_IPV4) {
        for (size_t i = 4; i-- > 0;) {
            end = put_number(end, bytes[i]);
            *end++ = i > 0 ? '.' : '\0';
        }
    } else if (addr->family == NETADDR_IPV6) {
        for (size_t i = 16; i-- > 0;) {
            *end++ = digits[bytes[i] & 15];
            *end++ = '.';
            *end++ = digits[bytes[i] >> 4];
            *end++ = i > 0 ? '.' : '\0';
        }
    } else {
        *out = '\0';
        return 0;
    }
    return (size_t)(end - out) - 1;
}

bool dns_name_reverse(const struct netaddr *addr, const char *zone, char out[DNS_NAME_SIZE])
{
    char name[DNS_NAME_REVERSED_SIZE];

    out[0] = '\0';
    if (dns_name_reversed(addr, name) == 0) {
        return false;
    }
    if (zone == NULL) {
        zone = addr->family == NETADDR_IPV4 ? "in-addr.arpa" : "ip6.arpa";
    }
    return dns_name_under(name, zone, out);
}

static size_t length_without_dot(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

bool dns_name_equal(const char *a, const char *b)
{
    size_t len = length_without_dot(a);

    return len == length_without_dot(b) && strncasecmp(a, b, len) == 0;
}
