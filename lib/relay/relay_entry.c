/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_entry.h"

#include <stdio.h>
#include <string.h>

#define IPV6_BITS 128u
#define SECONDS_OF_MINUTE 60
#define DIGITS_MAX 12u /* of a date that is taken */

/* ---- addresses ---- */

/*
 * IPv6 whose last bits tell hosts of different networks apart: IPv4 in the low 32 bits (RFC 4291, 2.5.5.1), IPv4 behind a translator (RFC 6052,
 * 8215), Teredo (RFC 4380). A network there is more than one site, however long its prefix.
 */
static const struct netaddr shared_networks[] = {
    {.family = NETADDR_IPV6, .bits = 96},
    {.family = NETADDR_IPV6, .bits = 32, .bytes = {0x00, 0x64, 0xff, 0x9b}},
    {.family = NETADDR_IPV6, .bits = 32, .bytes = {0x20, 0x01, 0x00, 0x00}},
};

#define SHARED_NETWORKS (sizeof(shared_networks) / sizeof(shared_networks[0]))

/* Has it addresses in such a network? */
static bool meets_shared(const struct netaddr *addr)
{
    for (size_t i = 0; i < SHARED_NETWORKS; i++) {
        const struct netaddr *shared = &shared_networks[i];
        unsigned bits = addr->bits < shared->bits ? addr->bits : shared->bits;
        struct netaddr left = netaddr_masked(addr, bits);
        struct netaddr right = netaddr_masked(shared, bits);

        if (netaddr_equal(&left, &right)) {
            return true;
        }
    }
    return false;
}

struct netaddr relay_entry_client(const struct netaddr *addr, unsigned ipv6_prefix_bits)
{
    return addr->family != NETADDR_IPV6 || meets_shared(addr)
               ? *addr
               : netaddr_masked(addr, ipv6_prefix_bits);
}

/* Is it one address or network that may be granted? */
static bool is_grantable(const struct netaddr *addr, const char **why_out)
{
    switch (addr->family) {
    case NETADDR_IPV4:
        if (addr->bits == netaddr_width(NETADDR_IPV4)) {
            return true;
        }
        *why_out = "an IPv4 network; name single addresses";
        return false;
    case NETADDR_IPV6:
        if (addr->bits < RELAY_MIN_PREFIX) {
            *why_out = "a network of more than one site; the shortest prefix is /48";
            return false;
        }
        if (addr->bits < IPV6_BITS && meets_shared(addr)) {
            *why_out =
                "a network whose addresses stand for IPv4 hosts anywhere; name single addresses";
            return false;
        }
        return true;
    case NETADDR_NONE:
        break;
    }
    *why_out = "no IP address";
    return false;
}

bool relay_entry_parse_address(const char *text, struct netaddr *addr_out, const char **why_out)
{
    bool host_bits = false;
    /* Without a length only whole addresses: `192.0.2` is a network in an access map, and a slip of the pen here. */
    bool parsed = strchr(text, '/') != NULL ? netaddr_parse_network(text, addr_out, &host_bits)
                                            : netaddr_parse(text, addr_out);

    if (host_bits) {
        *why_out = "bits are set behind the prefix length";
        return false;
    }
    if (!parsed) {
        *why_out = "no IP address";
        return false;
    }
    return is_grantable(addr_out, why_out);
}

const char *relay_entry_key(const struct netaddr *addr, char buf[RELAY_KEY_SIZE])
{
    (void)netaddr_format_short(addr, buf);
    if (addr->bits != netaddr_width(addr->family)) {
        size_t len = strlen(buf);

        (void)snprintf(buf + len, RELAY_KEY_SIZE - len, "/%u", addr->bits);
    }
    return buf;
}

/* ---- time ---- */

bool relay_entry_permits(const struct relay_entry *entry, int64_t now, unsigned window_minutes)
{
    return window_minutes == 0 ||
           entry->login_at > now - (int64_t)window_minutes * SECONDS_OF_MINUTE;
}

bool relay_entry_is_older(const struct relay_entry *entry, int64_t now, unsigned minutes)
{
    return entry->login_at <= now - (int64_t)minutes * SECONDS_OF_MINUTE;
}

/* ---- values ---- */

/* Printable ASCII that means nothing in a value. */
static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '%';
}

static void format_word(const char *name, const char *text, struct strbuf *out)
{
    static const char hex[] = "0123456789ABCDEF";

    if (*text == '\0') {
        return;
    }
    strbuf_append_char(out, ' ');
    strbuf_append(out, name);
    strbuf_append_char(out, '=');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (is_plain(c)) {
            strbuf_append_char(out, *text);
        } else {
            const char escaped[] = {'%', hex[c >> 4], hex[c & 0xf]};

            strbuf_append_len(out, escaped, sizeof(escaped));
        }
    }
}

/* A decimal number, without printf: a snapshot has a million of them. */
static void format_number(uint64_t number, struct strbuf *out)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    strbuf_append_len(out, digits + at, sizeof(digits) - at);
}

void relay_entry_format_value(const struct relay_entry *entry, struct strbuf *out)
{
    format_number((uint64_t)entry->login_at, out);
    format_word("user", entry->user, out);
    format_word("service", entry->service, out);
}

/* The decimal date at the start; false if there is none. */
static bool parse_date(const char **at, const char *end, int64_t *date_out)
{
    const char *first = *at;
    int64_t date = 0;

    while (*at < end && **at >= '0' && **at <= '9' && *at - first < (ptrdiff_t)DIGITS_MAX) {
        date = date * 10 + (*(*at)++ - '0');
    }
    *date_out = date;
    return *at > first && (*at == end || **at == ' ') && date <= RELAY_LOGIN_MAX;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends what %XX and plain bytes stand for, and a NUL byte. False: no such text. */
static bool decode(const char *at, const char *end, struct strbuf *out)
{
    while (at < end) {
        int c = (unsigned char)*at++;

        if (c == '%') {
            int high = end - at >= 2 ? hex_digit(at[0]) : -1;
            int low = high >= 0 ? hex_digit(at[1]) : -1;

            c = low < 0 ? 0 : high << 4 | low;
            at += 2;
        } else if (!is_plain((unsigned char)c)) {
            c = 0;
        }
        if (c == 0) {
            return false;
        }
        strbuf_append_char(out, (char)c);
    }
    strbuf_append_char(out, '\0');
    return true;
}

/* Where a word's text lies in `texts`, which moves while it grows. */
struct words {
    bool has_user, has_service;
    size_t user, service;
};

/* `name=text` from `at` to `end`. */
static bool parse_word(const char *at, const char *end, struct strbuf *texts, struct words *words,
                       const char **why_out)
{
    const char *equals = memchr(at, '=', (size_t)(end - at));
    size_t name_len = equals == NULL ? 0 : (size_t)(equals - at);
    size_t start = texts->len;
    bool is_user = name_len == 4 && memcmp(at, "user", 4) == 0;
    bool is_service = name_len == 7 && memcmp(at, "service", 7) == 0;

    if (name_len == 0) {
        *why_out = "a word that is no name=value";
        return false;
    }
    if (!is_user && !is_service) {
        return true;
    }
    if (is_user ? words->has_user : words->has_service) {
        *why_out = is_user ? "user is given twice" : "service is given twice";
        return false;
    }
    if (!decode(equals + 1, end, texts)) {
        *why_out = is_user ? "user: not printable, or a '%' without two hexadecimal digits"
                           : "service: not printable, or a '%' without two hexadecimal digits";
        return false;
    }
    if (texts->len - start - 1 > (is_user ? RELAY_USER_MAX : RELAY_SERVICE_MAX)) {
        *why_out = is_user ? "user is too long" : "service is too long";
        return false;
    }
    *(is_user ? &words->user : &words->service) = start;
    *(is_user ? &words->has_user : &words->has_service) = true;
    return true;
}

bool relay_entry_parse_value(const char *value, size_t len, struct strbuf *texts,
                             struct relay_entry *entry_out, const char **why_out)
{
    const char *at = value;
    const char *end = value + len;
    struct words words = {0};

    strbuf_reset(texts);
    if (!parse_date(&at, end, &entry_out->login_at)) {
        *why_out = "does not begin with a timestamp";
        return false;
    }
    while (at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        const char *word_end = blank == NULL ? end : blank;

        if (word_end > at && !parse_word(at, word_end, texts, &words, why_out)) {
            return false;
        }
        at = blank == NULL ? end : blank + 1;
    }
    entry_out->user = words.has_user ? texts->data + words.user : "";
    entry_out->service = words.has_service ? texts->data + words.service : "";
    return true;
}

bool relay_entry_is_sound(const struct relay_entry *entry, const char **why_out)
{
    struct netaddr masked = netaddr_masked(&entry->addr, entry->addr.bits);

    if (!is_grantable(&entry->addr, why_out)) {
        return false;
    }
    if (memcmp(masked.bytes, entry->addr.bytes, sizeof(masked.bytes)) != 0) {
        *why_out = "bits are set behind the prefix length";
        return false;
    }
    if (entry->login_at < 0 || entry->login_at > RELAY_LOGIN_MAX) {
        *why_out = "its date is outside the years 1970 to 9999";
        return false;
    }
    if (strlen(entry->user) > RELAY_USER_MAX || strlen(entry->service) > RELAY_SERVICE_MAX) {
        *why_out = "user or service is too long";
        return false;
    }
    return true;
}
