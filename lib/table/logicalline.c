/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/logicalline.h"

#define MAX_PHYSICAL 60000u
#define MAX_LOGICAL ((size_t)1 << 20)

void logicalline_init(struct logicalline *lines, int fd, const char *file, struct diag *diag)
{
    *lines = (struct logicalline){.ahead = NULL};
    linereader_init(&lines->physical, fd, file, MAX_PHYSICAL, diag);
    strbuf_init(&lines->text);
}

void logicalline_fini(struct logicalline *lines)
{
    linereader_fini(&lines->physical);
    strbuf_fini(&lines->text);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *next_physical(struct logicalline *lines, size_t *len_out)
{
    char *line = lines->ahead;

    if (line != NULL) {
        lines->ahead = NULL;
        *len_out = lines->ahead_len;
        return line;
    }
    return linereader_next(&lines->physical, len_out);
}

static bool is_nothing(const char *line)
{
    while (is_blank(*line)) {
        line++;
    }
    return *line == '\0' || *line == '#';
}

/* Joins physical lines. False: the whole is too long; what has no room is dropped. */
static bool join(struct logicalline *lines)
{
    bool fits = true;
    char *physical;
    size_t len;

    strbuf_reset(&lines->text);
    while ((physical = next_physical(lines, &len)) != NULL) {
        if (is_nothing(physical)) {
            continue;
        }
        if (lines->text.len == 0) {
            lines->number = lines->physical.number;
        } else if (!is_blank(*physical)) {
            lines->ahead = physical;
            lines->ahead_len = len;
            break;
        }
        if (lines->text.len + len > MAX_LOGICAL) {
            fits = false;
        } else {
            strbuf_append_len(&lines->text, physical, len);
        }
    }
    return fits;
}

bool logicalline_next(struct logicalline *lines)
{
    struct strbuf *text = &lines->text;

    while (!join(lines)) {
        diag_report(lines->physical.diag, DIAG_ERROR, lines->physical.file, lines->number, NULL,
                    "the line, with those that go on with it, is longer than %zu bytes",
                    MAX_LOGICAL);
    }
    while (text->len > 0 && is_blank(text->data[text->len - 1])) {
        text->data[--text->len] = '\0';
    }
    return text->len > 0;
}
