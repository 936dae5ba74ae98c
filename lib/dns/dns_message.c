/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_message.h"
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/dns/dns_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 12u
#define TYPE_SOA 6u
#define TYPE_OPT 41u

#define FLAGS_RESPONSE 0x8000u
#define FLAGS_OPCODE 0x7800u
#define FLAGS_AUTHORITATIVE 0x0400u
#define FLAGS_TRUNCATED 0x0200u
#define FLAGS_RECURSION_DESIRED 0x0100u
#define FLAGS_RECURSION_AVAILABLE 0x0080u
#define FLAGS_RCODE 0x000fu

enum rcode { RCODE_OK, RCODE_FORMERR, RCODE_SERVFAIL, RCODE_NXDOMAIN, RCODE_NOTIMP };

/* ---- the question ---- */

static uint8_t *put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put_name(uint8_t *at, const char *name)
{
    while (*name != '\0') {
        size_t len = strcspn(name, ".");

        *at++ = (uint8_t)len;
        (void)memcpy(at, name, len);
        at += len;
        name += len + (name[len] == '.' ? 1 : 0);
    }
    *at++ = 0;
    return at;
}

size_t dns_message_question(uint8_t out[DNS_MESSAGE_QUESTION_SIZE], const char *name, unsigned type,
                            uint16_t id, uint16_t udp_size)
{
    uint8_t *at = put16(put16(out, id), FLAGS_RECURSION_DESIRED);

    /* Sections: one question, no answers, no authority, the EDNS record. */
    at = put16(put16(put16(put16(at, 1), 0), 0), udp_size > 0 ? 1 : 0);
    at = put16(put16(put_name(at, name), type), DNS_WIRE_CLASS_IN);
    if (udp_size > 0) {
        *at++ = 0; /* the root owns it */
        at = put16(put16(at, TYPE_OPT), udp_size);
        at = put16(put16(put16(at, 0), 0), 0);
    }
    return (size_t)(at - out);
}

/* ---- an answer and its records ---- */

struct reading {
    struct dns_wire wire;
    const char *asked;
    enum dns_type type;
    unsigned flags;
    struct dns_wire_record *answers; /* what we keep of them is moved to the front, later */
    size_t answer_count;
    struct dns_wire_record *authority;
    size_t authority_count;
    char name[DNS_NAME_TEXT_SIZE]; /* where CNAMEs lead */
    struct dns_result result;      /* but its records */
};

static unsigned header(const struct reading *reading, size_t field)
{
    return dns_wire_get16(reading->wire.data + 2 * field);
}

/* Reads `count` records; NULL: they are broken. The caller frees it. */
static struct dns_wire_record *read_records(const struct dns_wire *wire, size_t *at, size_t count)
{
    /* Each takes eleven bytes at least; what is announced may be much more than there is. */
    size_t most = wire->len / 11 + 1;
    struct dns_wire_record *records = xcalloc(count < most ? count + 1 : most, sizeof(*records));

    for (size_t i = 0; i < count; i++) {
        if (i >= most || !dns_wire_record(wire, at, &records[i])) {
            free(records);
            return NULL;
        }
    }
    return records;
}

/* Header and question; false: this does not answer what was asked. */
static bool read_question(struct reading *reading, size_t *at)
{
    char name[DNS_NAME_TEXT_SIZE];

    if (reading->wire.len < HEADER_SIZE) {
        return false;
    }
    reading->flags = header(reading, 1);
    if ((reading->flags & (FLAGS_RESPONSE | FLAGS_OPCODE | FLAGS_TRUNCATED)) != FLAGS_RESPONSE ||
        header(reading, 2) != 1) {
        return false;
    }
    *at = dns_wire_name(&reading->wire, HEADER_SIZE, name);
    if (*at == 0 || reading->wire.len - *at < 4 || strcmp(name, reading->asked) != 0) {
        return false;
    }
    const uint8_t *rest = reading->wire.data + *at;

    *at += 4;
    return dns_wire_get16(rest) == (unsigned)reading->type &&
           dns_wire_get16(rest + 2) == DNS_WIRE_CLASS_IN;
}

static bool read_sections(struct reading *reading, size_t at)
{
    reading->answer_count = header(reading, 3);
    reading->answers = read_records(&reading->wire, &at, reading->answer_count);
    if (reading->answers == NULL) {
        return false;
    }
    reading->authority_count = header(reading, 4);
    reading->authority = read_records(&reading->wire, &at, reading->authority_count);
    return reading->authority != NULL;
}

static bool is_record(const struct reading *reading, const struct dns_wire_record *record,
                      enum dns_type type)
{
    return record->type == (unsigned)type && record->class == DNS_WIRE_CLASS_IN &&
           dns_wire_is_owner(&reading->wire, record, reading->name);
}

static void limit_ttl(struct dns_result *result, uint32_t ttl)
{
    if (ttl < result->ttl) {
        result->ttl = ttl;
    }
}

/* One step along a CNAME of the present name; false: it has none, or one that cannot be read. */
static bool follow_cname(struct reading *reading)
{
    char target[DNS_NAME_TEXT_SIZE];

    for (size_t i = 0; i < reading->answer_count; i++) {
        const struct dns_wire_record *record = &reading->answers[i];

        if (is_record(reading, record, DNS_CNAME) &&
            dns_wire_name(&reading->wire, record->data, target) ==
                record->data + record->data_len) {
            limit_ttl(&reading->result, record->ttl);
            reading->result.cnames++;
            (void)memcpy(reading->name, target, sizeof(target));
            return true;
        }
    }
    return false;
}

/* ---- what records say ---- */

/* What is kept; the texts lie one behind the other in `text`, each with its NUL byte. */
struct keeping {
    struct dns_record records[DNS_RECORDS_MAX];
    size_t starts[DNS_RECORDS_MAX];
    size_t count;
    bool cut;
    struct strbuf text;
};

static bool read_addr(const struct dns_wire *wire, const struct dns_wire_record *from,
                      struct dns_record *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes = wire->data + from->data;
    size_t len = from->data_len;

    if (len != (from->type == DNS_A ? 4u : 16u)) {
        return false;
    }
    if (len == 16 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        bytes += 12;
        len = 4;
    }
    out->addr.family = len == 4 ? NETADDR_IPV4 : NETADDR_IPV6;
    out->addr.bits = (uint8_t)(8 * len);
    (void)memcpy(out->addr.bytes, bytes, len);
    return true;
}

/* The strings of a TXT record as one. */
static bool read_strings(const struct dns_wire *wire, const struct dns_wire_record *from,
                         struct strbuf *out)
{
    size_t at = from->data;
    size_t end = at + from->data_len;

    while (at < end) {
        size_t len = wire->data[at];

        if (at + 1 + len > end) {
            return false;
        }
        for (size_t i = at + 1; i <= at + len; i++) {
            strbuf_append_char(out, wire->data[i] == '\0' ? '?' : (char)wire->data[i]);
        }
        at += 1 + len;
    }
    return from->data_len > 0;
}

/* A name that fills the record from `skip` on. */
static bool read_target(const struct dns_wire *wire, const struct dns_wire_record *from,
                        size_t skip, struct strbuf *out)
{
    char name[DNS_NAME_TEXT_SIZE];

    if (from->data_len <= skip ||
        dns_wire_name(wire, from->data + skip, name) != from->data + from->data_len) {
        return false;
    }
    strbuf_append(out, name);
    return true;
}

static bool read_data(const struct dns_wire *wire, const struct dns_wire_record *from,
                      struct dns_record *out, struct strbuf *text)
{
    switch (from->type) {
    case DNS_A:
    case DNS_AAAA:
        return read_addr(wire, from, out);
    case DNS_TXT:
        return read_strings(wire, from, text);
    case DNS_MX:
        out->preference = from->data_len > 2 ? (uint16_t)dns_wire_get16(wire->data + from->data)
                                             : 0;
        return read_target(wire, from, 2, text);
    default:
        return read_target(wire, from, 0, text);
    }
}

/* False: the record is broken. One that has no room is left out; of a TXT record there is always some. */
static bool keep(const struct dns_wire *wire, const struct dns_wire_record *from,
                 struct keeping *keeping)
{
    struct dns_record record = {.addr.family = NETADDR_NONE};
    struct strbuf *text = &keeping->text;
    size_t start = text->len;

    if (!read_data(wire, from, &record, text)) {
        return false;
    }
    bool room = keeping->count < DNS_RECORDS_MAX && start < DNS_TEXT_MAX - 1;

    if (text->len >= DNS_TEXT_MAX) {
        keeping->cut = true;
        room = room && from->type == DNS_TXT;
        text->len = room ? DNS_TEXT_MAX - 1 : start;
    }
    if (!room) {
        keeping->cut = true;
        text->len = start;
        return true;
    }
    strbuf_append_char(text, '\0');
    keeping->starts[keeping->count] = start;
    keeping->records[keeping->count++] = record;
    return true;
}

/* ---- the meaning ---- */

/* Of MX the lowest preference first, equal ones as they came. */
struct ranked {
    struct dns_wire_record record;
    unsigned rank;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *one = a;
    const struct ranked *two = b;

    return one->rank != two->rank                 ? (one->rank < two->rank ? -1 : 1)
           : one->record.data != two->record.data ? (one->record.data < two->record.data ? -1 : 1)
                                                  : 0;
}

/* The records that answer, in the order in which they are kept; the caller frees them. */
static struct ranked *rank_records(struct reading *reading, size_t *count_out)
{
    struct ranked *ranked = xcalloc(reading->answer_count + 1, sizeof(*ranked));
    size_t count = 0;

    for (size_t i = 0; i < reading->answer_count; i++) {
        const struct dns_wire_record *record = &reading->answers[i];

        if (is_record(reading, record, reading->type)) {
            ranked[count].record = *record;
            if (reading->type == DNS_MX && record->data_len > 2) {
                ranked[count].rank = dns_wire_get16(reading->wire.data + record->data);
            }
            limit_ttl(&reading->result, record->ttl);
            count++;
        }
    }
    if (count > 1) {
        qsort(ranked, count, sizeof(*ranked), by_rank);
    }
    *count_out = count;
    return ranked;
}

/* With what was kept; the texts do not move any more. */
static struct dns_result *make_found(struct reading *reading, struct keeping *keeping)
{
    for (size_t i = 0; i < keeping->count; i++) {
        keeping->records[i].text = keeping->text.data + keeping->starts[i];
    }
    reading->result.status = DNS_FOUND;
    reading->result.cut = keeping->cut;
    reading->result.count = keeping->count;
    reading->result.records = keeping->records;
    return dns_result_new(&reading->result);
}

/* The records of the type that was asked for; NULL: there are none. */
static struct dns_result *find_records(struct reading *reading)
{
    struct keeping keeping = {.count = 0};
    struct dns_result *result = NULL;
    size_t count;
    struct ranked *ranked = rank_records(reading, &count);
    bool good = true;

    strbuf_init(&keeping.text);
    for (size_t i = 0; i < count && good; i++) {
        good = keep(&reading->wire, &ranked[i].record, &keeping);
    }
    if (!good) {
        result = dns_result_failure(DNS_FAILURE_MALFORMED, 0);
    } else if (count > 0) {
        result = make_found(reading, &keeping);
    }
    strbuf_fini(&keeping.text);
    free(ranked);
    return result;
}

/* How long it holds that there is nothing: as the SOA record says (RFC 2308 5), and without one not at all. */
static bool find_negative_ttl(struct reading *reading)
{
    for (size_t i = 0; i < reading->authority_count; i++) {
        const struct dns_wire_record *record = &reading->authority[i];

        if (record->type == TYPE_SOA && record->class == DNS_WIRE_CLASS_IN &&
            record->data_len >= 22) {
            limit_ttl(&reading->result, record->ttl);
            limit_ttl(&reading->result,
                      dns_wire_get32(reading->wire.data + record->data + record->data_len - 4));
            return true;
        }
    }
    reading->result.ttl = 0;
    return false;
}

/* A server that does not ask others for us only names those who know (RFC 2308 2.2). */
static bool is_referral(const struct reading *reading)
{
    if ((reading->flags & (FLAGS_AUTHORITATIVE | FLAGS_RECURSION_AVAILABLE)) != 0) {
        return false;
    }
    for (size_t i = 0; i < reading->authority_count; i++) {
        if (reading->authority[i].type == DNS_MESSAGE_TYPE_NS) {
            return true;
        }
    }
    return false;
}

static struct dns_result *make_negative(struct reading *reading)
{
    bool nxdomain = (reading->flags & FLAGS_RCODE) == RCODE_NXDOMAIN;

    if (!find_negative_ttl(reading) && !nxdomain && is_referral(reading)) {
        return dns_result_failure(DNS_FAILURE_REFUSED, 0);
    }
    reading->result.status = nxdomain ? DNS_NXDOMAIN : DNS_NODATA;
    return dns_result_new(&reading->result);
}

static struct dns_result *make_result(struct reading *reading)
{
    (void)snprintf(reading->name, sizeof(reading->name), "%s", reading->asked);
    reading->result.ttl = UINT32_MAX;
    reading->result.name = reading->name;
    while (reading->type != DNS_CNAME && follow_cname(reading)) {
        if (reading->result.cnames > DNS_MESSAGE_CNAMES_MAX) {
            return dns_result_failure(DNS_FAILURE_LOOP, 0);
        }
    }
    struct dns_result *found = (reading->flags & FLAGS_RCODE) == RCODE_OK ? find_records(reading)
                                                                          : NULL;

    return found != NULL ? found : make_negative(reading);
}

static enum dns_failure failure_of(unsigned rcode)
{
    return rcode == RCODE_OK || rcode == RCODE_NXDOMAIN ? DNS_FAILURE_NONE
           : rcode == RCODE_SERVFAIL                    ? DNS_FAILURE_SERVFAIL
                                                        : DNS_FAILURE_REFUSED;
}

struct dns_result *dns_message_read(const uint8_t *message, size_t len, const char *name,
                                    enum dns_type type)
{
    struct reading reading = {.wire = {message, len}, .asked = name, .type = type};
    struct dns_result *result;
    size_t at;

    if (!read_question(&reading, &at)) {
        return dns_result_failure(DNS_FAILURE_MALFORMED, 0);
    }
    enum dns_failure failure = failure_of(reading.flags & FLAGS_RCODE);

    if (failure != DNS_FAILURE_NONE) {
        return dns_result_failure(failure, 0);
    }
    result = read_sections(&reading, at) ? make_result(&reading)
                                         : dns_result_failure(DNS_FAILURE_MALFORMED, 0);
    free(reading.answers);
    free(reading.authority);
    return result;
}

bool dns_message_is_format_error(const uint8_t *message, size_t len)
{
    if (len < HEADER_SIZE) {
        return false;
    }
    unsigned rcode = dns_wire_get16(message + 2) & FLAGS_RCODE;

    return rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP;
}

bool dns_message_is_truncated(const uint8_t *message, size_t len)
{
    return len >= HEADER_SIZE && (dns_wire_get16(message + 2) & FLAGS_TRUNCATED) != 0;
}
