/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/mapheader.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_WORD "postern-map"
#define CHECK_WORD "check"
#define FILE_CHECK_WORD "file-check"
#define HEX_DIGITS 16u
#define NO_LENGTHS "-"

/* What is left to read; the record need not end in a NUL byte. */
struct reader {
    const char *at;
    const char *end;
    struct strbuf *why;
};

void mapheader_fini(struct mapheader *header)
{
    free(header->format);
    free(header->source);
    *header = (struct mapheader){0};
}

static void append_lengths(struct strbuf *out, const char *name,
                           const struct mapheader_lengths *lengths)
{
    size_t before;

    strbuf_appendf(out, "%s ", name);
    before = out->len;
    for (unsigned bits = 0; bits < MAPHEADER_LENGTHS; bits++) {
        if (lengths->used[bits]) {
            strbuf_appendf(out, "%s%u", out->len > before ? "," : "", bits);
        }
    }
    strbuf_append(out, out->len > before ? "\n" : NO_LENGTHS "\n");
}

void mapheader_encode(const struct mapheader *header, struct strbuf *out)
{
    size_t first = out->len;

    strbuf_appendf(out, FIRST_WORD " %u\n", MAPHEADER_VERSION);
    strbuf_appendf(out, "format %s\n", header->format);
    strbuf_appendf(out, "source %s\n", header->source);
    strbuf_appendf(out, "source-size %" PRIu64 "\n", header->source_size);
    strbuf_appendf(out, "source-mtime %" PRId64 "\n", header->source_mtime_ns);
    strbuf_appendf(out, "entries %" PRIu64 "\n", header->entries);
    append_lengths(out, "ipv4-lengths", &header->ipv4);
    append_lengths(out, "ipv6-lengths", &header->ipv6);
    strbuf_appendf(out, "filter-size %" PRIu64 "\n", header->filter_size);
    strbuf_appendf(out, "filter-seed %016" PRIx64 "\n", header->filter_seed);
    strbuf_appendf(out, "filter-check %016" PRIx64 "\n", header->filter_check);

    uint64_t check = hash64(out->data + first, out->len - first, MAPHEADER_VERSION);

    strbuf_appendf(out, CHECK_WORD " %016" PRIx64 "\n", check);
    strbuf_append(out, FILE_CHECK_WORD " " MAPHEADER_FILE_CHECK_ZERO);
}

/* Takes the line `name value`; false if it is not next. */
static bool take(struct reader *reader, const char *name, const char **value_out, size_t *len_out)
{
    size_t name_len = strlen(name);
    const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

    if (newline == NULL || (size_t)(newline - reader->at) < name_len + 1 ||
        memcmp(reader->at, name, name_len) != 0 || reader->at[name_len] != ' ') {
        strbuf_appendf(reader->why, "header without \"%s\"", name);
        return false;
    }
    *value_out = reader->at + name_len + 1;
    *len_out = (size_t)(newline - *value_out);
    reader->at = newline + 1;
    return true;
}

static bool parse_number(const char *text, size_t len, unsigned base, uint64_t *out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned digit = text[i] >= '0' && text[i] <= '9'   ? (unsigned)(text[i] - '0')
                         : text[i] >= 'a' && text[i] <= 'f' ? (unsigned)(text[i] - 'a') + 10
                                                            : base;

        if (digit >= base || number > (UINT64_MAX - digit) / base) {
            return false;
        }
        number = number * base + digit;
    }
    *out = number;
    return len > 0;
}

static bool take_number(struct reader *reader, const char *name, unsigned base, uint64_t *out)
{
    const char *value;
    size_t len;

    if (!take(reader, name, &value, &len)) {
        return false;
    }
    if (!parse_number(value, len, base, out)) {
        strbuf_appendf(reader->why, "header with a wrong \"%s\"", name);
        return false;
    }
    return true;
}

static bool take_text(struct reader *reader, const char *name, char **out)
{
    const char *value;
    size_t len;

    if (!take(reader, name, &value, &len)) {
        return false;
    }
    if (len == 0 || memchr(value, '\0', len) != NULL) {
        strbuf_appendf(reader->why, "header with a wrong \"%s\"", name);
        return false;
    }
    *out = xstrndup(value, len);
    return true;
}

static bool take_lengths(struct reader *reader, const char *name, unsigned width,
                         struct mapheader_lengths *out)
{
    const char *value;
    size_t len;

    if (!take(reader, name, &value, &len)) {
        return false;
    }
    if (len == strlen(NO_LENGTHS) && memcmp(value, NO_LENGTHS, len) == 0) {
        return true;
    }
    for (const char *end = value + len; value <= end;) {
        const char *comma = memchr(value, ',', (size_t)(end - value));
        const char *stop = comma == NULL ? end : comma;
        uint64_t bits;

        if (!parse_number(value, (size_t)(stop - value), 10, &bits) || bits > width) {
            strbuf_appendf(reader->why, "header with a wrong \"%s\"", name);
            return false;
        }
        out->used[bits] = true;
        value = stop + 1;
    }
    return true;
}

/* Version first: what another version wrote is no damage, and the reader is told so. */
static bool take_version(struct reader *reader)
{
    uint64_t version;

    if (!take_number(reader, FIRST_WORD, 10, &version)) {
        return false;
    }
    if (version != MAPHEADER_VERSION) {
        strbuf_appendf(reader->why, "format version %" PRIu64 ", this program reads version %u",
                       version, MAPHEADER_VERSION);
        return false;
    }
    return true;
}

/* The two lines at the end; what comes before must have the checksum in the first of them. */
static bool take_checks(struct reader *reader, const char *data, struct mapheader *header)
{
    size_t len = (size_t)(reader->at - data);
    const char *value;
    size_t value_len;
    uint64_t check;

    if (!take_number(reader, CHECK_WORD, 16, &check) ||
        !take(reader, FILE_CHECK_WORD, &value, &value_len)) {
        return false;
    }
    if (check != hash64(data, len, MAPHEADER_VERSION) || reader->at != reader->end ||
        value_len != 2 * HEX_DIGITS + 1 || value[HEX_DIGITS] != ' ' ||
        !parse_number(value, HEX_DIGITS, 16, &header->file_check) ||
        !parse_number(value + HEX_DIGITS + 1, HEX_DIGITS, 16, &header->file_check_at)) {
        strbuf_append(reader->why, "damaged header");
        return false;
    }
    return true;
}

bool mapheader_decode(const char *data, size_t len, struct mapheader *header_out,
                      struct strbuf *why)
{
    struct reader reader = {data, data + len, why};
    struct mapheader header = {0};
    uint64_t mtime;

    if (take_version(&reader) && take_text(&reader, "format", &header.format) &&
        take_text(&reader, "source", &header.source) &&
        take_number(&reader, "source-size", 10, &header.source_size) &&
        take_number(&reader, "source-mtime", 10, &mtime) &&
        take_number(&reader, "entries", 10, &header.entries) &&
        take_lengths(&reader, "ipv4-lengths", netaddr_width(NETADDR_IPV4), &header.ipv4) &&
        take_lengths(&reader, "ipv6-lengths", netaddr_width(NETADDR_IPV6), &header.ipv6) &&
        take_number(&reader, "filter-size", 10, &header.filter_size) &&
        take_number(&reader, "filter-seed", 16, &header.filter_seed) &&
        take_number(&reader, "filter-check", 16, &header.filter_check) &&
        take_checks(&reader, data, &header)) {
        header.source_mtime_ns = (int64_t)mtime;
        *header_out = header;
        return true;
    }
    mapheader_fini(&header);
    return false;
}
