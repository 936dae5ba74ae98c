/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/mime_scanner.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct mime_boundary {
    struct mime_boundary *outer;
    enum mime_kind inside; /* what a part without Content-Type is */
    size_t len;
    char text[];
};

void mime_scanner_init(struct mime_scanner *scanner, mime_scanner_found *found, void *ctx)
{
    *scanner = (struct mime_scanner){
        .found = found,
        .ctx = ctx,
        .state = MIME_SCANNER_OWN,
        .kind = MIME_KIND_LEAF,
    };
    strbuf_init(&scanner->header);
    strbuf_init(&scanner->line);
}

static void pop(struct mime_scanner *scanner)
{
    struct mime_boundary *innermost = scanner->stack;

    scanner->stack = innermost->outer;
    scanner->depth--;
    free(innermost);
}

void mime_scanner_fini(struct mime_scanner *scanner)
{
    while (scanner->stack != NULL) {
        pop(scanner);
    }
    strbuf_fini(&scanner->header);
    strbuf_fini(&scanner->line);
}

/* A boundary parameter. What is cut off of a long one is not compared: that finds too many, never too few. */
static void on_boundary(void *ctx, const char *text, size_t len)
{
    struct mime_scanner *scanner = ctx;

    if (scanner->depth >= MIME_SCANNER_DEPTH_MAX) {
        scanner->too_deep = true;
        return;
    }
    len = len > MIME_SCANNER_BOUNDARY_MAX ? MIME_SCANNER_BOUNDARY_MAX : len;

    struct mime_boundary *boundary = xmalloc(sizeof(*boundary) + len);

    boundary->outer = scanner->stack;
    boundary->inside = scanner->kind == MIME_KIND_DIGEST ? MIME_KIND_MESSAGE : MIME_KIND_LEAF;
    boundary->len = len;
    memcpy(boundary->text, text, len);
    scanner->stack = boundary;
    scanner->depth++;
}

/* ---- headers ---- */

size_t mime_scanner_header_name(const char *line, size_t len)
{
    size_t name = 0;

    while (name < len && (unsigned char)line[name] > ' ' && (unsigned char)line[name] < 0x7f &&
           line[name] != ':') {
        name++;
    }
    size_t colon = name;

    while (colon < len && (line[colon] == ' ' || line[colon] == '\t')) {
        colon++;
    }
    return colon < len && line[colon] == ':' ? name : 0;
}

static bool name_is(const char *name, const char *wanted)
{
    size_t len = strcspn(name, ": \t\n");

    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

bool mime_scanner_is_mime_name(const char *name)
{
    static const char *const names[] = {
        "Content-Type", "Content-Disposition",       "Content-Description",
        "Content-ID",   "Content-Transfer-Encoding", "MIME-Version",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (name_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

void mime_scanner_own_header(struct mime_scanner *scanner, const char *name, const char *value)
{
    if (name_is(name, "Content-Type")) {
        mime_type_read(value, &scanner->kind, on_boundary, scanner);
    }
}

/* The header that was being read is complete. */
static void finish_header(struct mime_scanner *scanner)
{
    const char *text = scanner->header.data;
    enum mime_place place = scanner->state == MIME_SCANNER_PART ? MIME_PLACE_PART
                                                                : MIME_PLACE_ATTACHED;

    if (scanner->header.len == 0) {
        return;
    }
    mime_scanner_own_header(scanner, text, strchr(text, ':') + 1);
    scanner->found(scanner->ctx, place, text, scanner->header.len);
    strbuf_reset(&scanner->header);
}

/* Nothing behind a NUL byte is part of a header: so does Postfix cut it. */
static void append(struct strbuf *header, const char *text, size_t len)
{
    strbuf_append_len(header, text, strnlen(text, len));
}

/* The line goes on with the header before it; what does not fit is dropped. */
static void continue_header(struct mime_scanner *scanner, const char *line, size_t len)
{
    if (scanner->header.len >= MIME_SCANNER_HEADER_MAX) {
        return;
    }
    if (!scanner->continues) {
        strbuf_append_char(&scanner->header, '\n');
    }
    append(&scanner->header, line, len);
}

/* "name :" becomes "name:", as nobody writes patterns for the former. */
static void begin_header(struct mime_scanner *scanner, const char *line, size_t len, size_t name)
{
    size_t rest = name;

    while (rest < len && (line[rest] == ' ' || line[rest] == '\t')) {
        rest++;
    }
    strbuf_append_len(&scanner->header, line, name);
    append(&scanner->header, line + rest, len - rest);
}

/* ---- lines ---- */

/* An empty line, or one that is no header: what comes now is a body, or another header if it is a message. */
static void end_headers(struct mime_scanner *scanner, bool empty)
{
    enum mime_kind kind = scanner->kind;

    scanner->state = MIME_SCANNER_BODY;
    if (empty && kind == MIME_KIND_MESSAGE) {
        scanner->state = MIME_SCANNER_ATTACHED;
        scanner->kind = MIME_KIND_LEAF;
    }
}

/* Is this line a boundary of this one or of what it lies in? Inner ones that never ended end with it. */
static void look_for_boundary(struct mime_scanner *scanner, const char *line, size_t len)
{
    struct mime_boundary *found = scanner->stack;

    while (found != NULL &&
           (len - 2 < found->len || memcmp(line + 2, found->text, found->len) != 0)) {
        found = found->outer;
    }
    if (found == NULL) {
        return;
    }
    while (scanner->stack != found) {
        pop(scanner);
    }
    /* A '--' behind it closes it. Other text there does not matter, as most programs ignore it. */
    if (len >= found->len + 4 && memcmp(line + 2 + found->len, "--", 2) == 0) {
        pop(scanner);
        scanner->state = MIME_SCANNER_BODY;
        scanner->kind = MIME_KIND_LEAF;
    } else {
        scanner->state = MIME_SCANNER_PART;
        scanner->kind = found->inside;
    }
}

/* One line, or MIME_SCANNER_LINE_MAX bytes of a longer one. */
static void take_line(struct mime_scanner *scanner, const char *line, size_t len)
{
    if (scanner->state != MIME_SCANNER_BODY) {
        if (scanner->header.len > 0 &&
            (scanner->continues || (len > 0 && (*line == ' ' || *line == '\t')))) {
            continue_header(scanner, line, len);
            return;
        }
        finish_header(scanner);

        size_t name = mime_scanner_header_name(line, len);

        if (name > 0) {
            begin_header(scanner, line, len, name);
            return;
        }
        end_headers(scanner, len == 0);
    }
    if (!scanner->continues && len > 2 && line[0] == '-' && line[1] == '-') {
        look_for_boundary(scanner, line, len);
    }
}

/* ---- pieces ---- */

/* A line as it stands in the body, its end included if it has one. */
static void take_raw(struct mime_scanner *scanner, const char *text, size_t len)
{
    bool ended = len > 0 && text[len - 1] == '\n';

    if (ended) {
        len--;
        while (len > 0 && text[len - 1] == '\r') {
            len--;
        }
    }
    take_line(scanner, text, len);
    scanner->continues = !ended;
}

/*
 * How much of `data` the next line takes, at most what still fits into one; *whole_out: it is all there, or as long as a
 * line may be.
 */
static size_t next_line(const struct mime_scanner *scanner, const char *data, size_t len,
                        bool *whole_out)
{
    size_t room = MIME_SCANNER_LINE_MAX - scanner->line.len;
    size_t most = len < room ? len : room;
    const char *end = memchr(data, '\n', most);

    *whole_out = end != NULL || most == room;
    return end != NULL ? (size_t)(end - data) + 1 : most;
}

void mime_scanner_body(struct mime_scanner *scanner, const char *data, size_t len)
{
    if (scanner->state == MIME_SCANNER_OWN) {
        end_headers(scanner, true);
    }
    while (len > 0) {
        bool whole;
        size_t taken = next_line(scanner, data, len, &whole);

        if (whole && scanner->line.len == 0) {
            take_raw(scanner, data, taken);
        } else {
            strbuf_append_len(&scanner->line, data, taken);
            if (whole) {
                take_raw(scanner, scanner->line.data, scanner->line.len);
                strbuf_reset(&scanner->line);
            }
        }
        data += taken;
        len -= taken;
    }
}

void mime_scanner_end(struct mime_scanner *scanner)
{
    if (scanner->state == MIME_SCANNER_OWN) {
        return;
    }
    if (scanner->line.len > 0) {
        take_raw(scanner, scanner->line.data, scanner->line.len);
        strbuf_reset(&scanner->line);
    }
    if (scanner->state != MIME_SCANNER_BODY) {
        finish_header(scanner);
    }
    scanner->state = MIME_SCANNER_BODY;
}
