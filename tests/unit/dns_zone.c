/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/dns_zone.h"
#include "lib/base/xalloc.h"
#include "lib/dns/dns_message.h"
#include "lib/dns/dns_wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER 12
#define LINES_MAX 512
#define TYPE_SOA 6
#define DEFAULT_TTL 300
#define NEGATIVE_TTL 60

struct line {
    char *name;
    char *type;
    char *value;
    uint32_t ttl;
};

struct dns_zone {
    char *text;
    struct line lines[LINES_MAX];
    size_t line_count;
};

/* ---- the zone ---- */

static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    size_t len = strcspn(word, " \t");

    *rest = word + len + (word[len] != '\0' ? 1 : 0);
    word[len] = '\0';
    return word;
}

static void read_line(struct dns_zone *zone, char *text)
{
    struct line *line = &zone->lines[zone->line_count];

    text[strcspn(text, "#")] = '\0';
    line->name = next_word(&text);
    line->type = next_word(&text);
    line->ttl = DEFAULT_TTL;
    if (*line->type >= '0' && *line->type <= '9') {
        line->ttl = (uint32_t)strtoul(line->type, NULL, 10);
        line->type = next_word(&text);
    }
    line->value = text + strspn(text, " \t");
    size_t len = strlen(line->value);

    while (len > 0 && strchr(" \t\"", line->value[len - 1]) != NULL) {
        line->value[--len] = '\0';
    }
    line->value += *line->value == '"' ? 1 : 0;
    zone->line_count += *line->type != '\0' && zone->line_count < LINES_MAX - 1 ? 1 : 0;
}

static void read_zone(struct dns_zone *zone, const char *text)
{
    char *rest;

    zone->text = rest = xstrdup(text);
    while (*rest != '\0') {
        size_t len = strcspn(rest, "\n");
        char *line = rest;

        rest += len + (rest[len] != '\0' ? 1 : 0);
        line[len] = '\0';
        read_line(zone, line);
    }
}

/* Does the zone have lines for this name, or for any? */
static const char *find_name(const struct dns_zone *zone, const char *name)
{
    const char *any = NULL;

    for (size_t i = 0; i < zone->line_count; i++) {
        if (strcasecmp(zone->lines[i].name, name) == 0) {
            return zone->lines[i].name;
        }
        any = strcmp(zone->lines[i].name, "*") == 0 ? "*" : any;
    }
    return any;
}

static const struct line *find_type(const struct dns_zone *zone, const char *name, const char *type,
                                    const struct line *after)
{
    for (size_t i = after != NULL ? (size_t)(after - zone->lines) + 1 : 0; i < zone->line_count;
         i++) {
        if (strcasecmp(zone->lines[i].name, name) == 0 && strcmp(zone->lines[i].type, type) == 0) {
            return &zone->lines[i];
        }
    }
    return NULL;
}

/* ---- to write ---- */

static void put(struct dns_zone_reply *reply, const void *bytes, size_t len)
{
    if (reply->len + len <= DNS_ZONE_MESSAGE_MAX) {
        (void)memcpy(reply->message + reply->len, bytes, len);
        reply->len += len;
    }
}

static void put16(struct dns_zone_reply *reply, unsigned value)
{
    const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(reply, bytes, 2);
}

static void put_name(struct dns_zone_reply *reply, const char *name)
{
    for (; *name != '\0' && strcmp(name, ".") != 0; name += *name == '.' ? 1 : 0) {
        uint8_t len = (uint8_t)strcspn(name, ".");

        put(reply, &len, 1);
        put(reply, name, len);
        name += len;
    }
    put(reply, "", 1);
}

/* Owner, type, class and TTL; returns where the length of the data stands, for end_record(). */
static size_t begin_record(struct dns_zone_reply *reply, const char *owner, unsigned type,
                           uint32_t ttl)
{
    put_name(reply, owner);
    put16(reply, type);
    put16(reply, DNS_WIRE_CLASS_IN);
    put16(reply, ttl >> 16);
    put16(reply, ttl & 0xffff);
    put16(reply, 0);
    return reply->len - 2;
}

static void end_record(struct dns_zone_reply *reply, size_t length_at)
{
    size_t len = reply->len - length_at - 2;

    reply->message[length_at] = (uint8_t)(len >> 8);
    reply->message[length_at + 1] = (uint8_t)len;
}

static void put_text(struct dns_zone_reply *reply, const char *text)
{
    do {
        uint8_t len = (uint8_t)(strlen(text) > 255 ? 255 : strlen(text));

        put(reply, &len, 1);
        put(reply, text, len);
        text += len;
    } while (*text != '\0');
}

static void put_data(struct dns_zone_reply *reply, unsigned type, const char *value)
{
    uint8_t addr[16];
    char *end;

    switch (type) {
    case DNS_A:
        (void)inet_pton(AF_INET, value, addr);
        put(reply, addr, 4);
        break;
    case DNS_AAAA:
        (void)inet_pton(AF_INET6, value, addr);
        put(reply, addr, 16);
        break;
    case DNS_TXT:
        put_text(reply, value);
        break;
    case DNS_MX:
        put16(reply, (unsigned)strtoul(value, &end, 10));
        put_name(reply, end + strspn(end, " \t"));
        break;
    default:
        put_name(reply, value);
        break;
    }
}

/* ---- the answer ---- */

static void put_many(struct dns_zone_reply *reply, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        size_t at = begin_record(reply, reply->at, reply->type, DEFAULT_TTL);
        char value[300];

        /* MX come with falling preferences. */
        (void)snprintf(value, sizeof(value),
                       reply->type == DNS_MX  ? "%u mx%u.example"
                       : reply->type == DNS_A ? "10.0.%u.%u"
                                              : "%u text %u %0200d",
                       reply->type == DNS_MX ? count - i : i / 256,
                       reply->type == DNS_MX ? i : i % 256, 0);
        put_data(reply, reply->type, value);
        end_record(reply, at);
        reply->answers++;
    }
}

/* What the zone says of how to answer for this name. */
static void read_behaviour(const struct dns_zone *zone, struct dns_zone_reply *reply,
                           const char *name)
{
    const struct line *delay = find_type(zone, name, "DELAY", NULL);
    const struct line *many = find_type(zone, name, "MANY", NULL);

    reply->delay_ms = delay != NULL ? (unsigned)strtoul(delay->value, NULL, 10) : 0;
    reply->silent = reply->silent || find_type(zone, name, "SILENT", NULL) != NULL;
    reply->oversize = find_type(zone, name, "OVERSIZE", NULL) != NULL;
    reply->cut = find_type(zone, name, "GARBAGE", NULL) != NULL;
    reply->soa = find_type(zone, name, "NOSOA", NULL) == NULL;
    reply->referral = find_type(zone, name, "REFERRAL", NULL) != NULL;
    reply->rcode = find_type(zone, name, "SERVFAIL", NULL) != NULL                 ? 2
                   : find_type(zone, name, "REFUSED", NULL) != NULL                ? 5
                   : reply->edns && find_type(zone, name, "FORMERR", NULL) != NULL ? 1
                                                                                   : reply->rcode;
    if (many != NULL && reply->rcode == 0) {
        put_many(reply, (unsigned)strtoul(many->value, NULL, 10));
    }
}

static void put_answers(const struct dns_zone *zone, struct dns_zone_reply *reply, const char *name)
{
    const char *type = dns_type_name((enum dns_type)reply->type);

    for (const struct line *line = find_type(zone, name, type, NULL); line != NULL;
         line = find_type(zone, name, type, line)) {
        size_t at = begin_record(reply, reply->at, reply->type, line->ttl);

        put_data(reply, reply->type, line->value);
        end_record(reply, at);
        reply->answers++;
    }
}

/* An SOA, or the servers of somebody else. */
static void put_authority(struct dns_zone_reply *reply)
{
    size_t at = begin_record(reply, "example", reply->referral ? DNS_MESSAGE_TYPE_NS : TYPE_SOA,
                             DEFAULT_TTL);

    put_name(reply, "ns.example");
    if (!reply->referral) {
        put_name(reply, "hostmaster.example");
        for (unsigned i = 0; i < 5; i++) {
            put16(reply, 0);
            put16(reply, NEGATIVE_TTL);
        }
    }
    end_record(reply, at);
    reply->authorities = 1;
}

static void put_sections(const struct dns_zone *zone, struct dns_zone_reply *reply)
{
    const char *name = find_name(zone, reply->at);
    unsigned links = 0;

    while (name != NULL && reply->type != DNS_CNAME && links++ < 40) {
        const struct line *line = find_type(zone, name, "CNAME", NULL);

        if (line == NULL) {
            break;
        }
        size_t at = begin_record(reply, reply->at, DNS_CNAME, line->ttl);

        put_data(reply, DNS_CNAME, line->value);
        end_record(reply, at);
        reply->answers++;
        (void)snprintf(reply->at, sizeof(reply->at), "%s", line->value);
        name = find_name(zone, reply->at);
    }
    reply->soa = true;
    reply->rcode = name == NULL ? 3 : 0;
    if (name != NULL) {
        unsigned before = reply->answers;

        read_behaviour(zone, reply, name);
        put_answers(zone, reply, name);
        if (reply->answers > before || reply->rcode != 0) {
            return;
        }
    }
    if (reply->soa || reply->referral) {
        put_authority(reply);
    }
}

/* Fills the header, once everything is known. */
static void put_header(struct dns_zone_reply *reply, const uint8_t *question, bool truncated)
{
    size_t len = reply->len;
    unsigned flags = 0x8100u | (reply->referral ? 0 : 0x0080u) | reply->rcode |
                     (truncated ? 0x0200u : 0);

    reply->len = 0;
    put(reply, question, 2);
    put16(reply, flags);
    put16(reply, 1);
    put16(reply, truncated ? 0 : reply->answers);
    put16(reply, truncated ? 0 : reply->authorities);
    put16(reply, 0);
    reply->len = len;
}

bool dns_zone_answer(const struct dns_zone *zone, const uint8_t *question, size_t len, bool tcp,
                     struct dns_zone_reply *reply)
{
    struct dns_wire wire = {question, len};
    size_t end = len >= HEADER ? dns_wire_name(&wire, HEADER, reply->name) : 0;

    if (end == 0 || len < end + 4) {
        return false;
    }
    reply->type = dns_wire_get16(question + end);
    reply->edns = len >= end + 4 + 11;
    reply->udp_size = reply->edns ? dns_wire_get16(question + end + 4 + 3) : 512;
    reply->len = HEADER;
    put(reply, question + HEADER, end + 4 - HEADER);
    size_t question_end = reply->len;

    (void)snprintf(reply->at, sizeof(reply->at), "%s", reply->name);
    put_sections(zone, reply);
    bool truncated = !tcp && !reply->oversize && reply->len > reply->udp_size;

    reply->len = truncated ? question_end : reply->cut ? reply->len - 3 : reply->len;
    put_header(reply, question, truncated);
    return true;
}

struct dns_zone *dns_zone_new(const char *text)
{
    struct dns_zone *zone = xcalloc(1, sizeof(*zone));

    read_zone(zone, text);
    return zone;
}

void dns_zone_free(struct dns_zone **zone)
{
    free((*zone)->text);
    free(*zone);
    *zone = NULL;
}
