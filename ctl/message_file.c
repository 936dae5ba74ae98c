/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/message_file.h"

#include "lib/base/xalloc.h"
#include "lib/mail/mime_scanner.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of it, with a NUL byte behind. */
static enum status read_all(FILE *file, const char *path, struct strbuf *text, struct strbuf *why)
{
    char buffer[16384];
    size_t len;

    while ((len = fread(buffer, 1, sizeof(buffer), file)) > 0) {
        strbuf_append_len(text, buffer, len);
        if (text->len > MESSAGE_FILE_MAX) {
            strbuf_appendf(why, "%s: longer than %u bytes", path, MESSAGE_FILE_MAX);
            return STATUS_INVALID;
        }
    }
    if (ferror(file)) {
        strbuf_appendf(why, "%s: %s", path, strerror(errno));
        return STATUS_TEMPFAIL;
    }
    return STATUS_OK;
}

/* A line without its end, which becomes a NUL byte; *next_out is behind it. */
static size_t cut_line(char *line, char *end, char **next_out)
{
    char *newline = memchr(line, '\n', (size_t)(end - line));
    size_t len = (size_t)((newline == NULL ? end : newline) - line);

    *next_out = newline == NULL ? end : newline + 1;
    while (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    return len;
}

static bool is_fold(const char *line, const char *end)
{
    return line < end && (*line == ' ' || *line == '\t');
}

/* Reads the field that begins at `line`; returns what is behind it, or NULL if there is none. */
static char *read_field(char *line, char *end, struct message_field *field)
{
    char *next;
    size_t len = cut_line(line, end, &next);
    size_t name = mime_scanner_header_name(line, len);

    if (name == 0) {
        return NULL;
    }
    char *value = memchr(line + name, ':', len - name);
    char *to = line + len;

    /* The lines move together, as what ends them may be longer than "\n". */
    while (is_fold(next, end)) {
        char *fold = next;

        len = cut_line(fold, end, &next);
        *to++ = '\n';
        memmove(to, fold, len);
        to += len;
    }
    *to = '\0'; /* there is room: a line end, or the byte behind the file */
    line[name] = '\0';
    field->name = line;
    field->value = value + 1;
    return next;
}

static void add_field(struct message_file *message, const struct message_field *field)
{
    message->fields = xrealloc(message->fields,
                               (message->field_count + 1) * sizeof(*message->fields));
    message->fields[message->field_count++] = *field;
}

/* All fields from `at` on; returns what is behind them. */
static char *read_fields(struct message_file *message, char *at, char *end)
{
    struct message_field field;
    char *next;

    while ((next = read_field(at, end, &field)) != NULL) {
        add_field(message, &field);
        at = next;
    }
    return at;
}

/* The part of the text that came from the file. */
static void take_file(struct message_file *message, char *at, char *end)
{
    char *next;

    if (end - at >= 5 && memcmp(at, "From ", 5) == 0) {
        (void)cut_line(at, end, &at);
    }
    at = read_fields(message, at, end);
    if (cut_line(at, end, &next) == 0) {
        at = next; /* the empty line belongs to neither */
    }
    message->body = at;
    message->body_len = (size_t)(end - at);
}

static enum status open_and_read(const char *path, struct strbuf *text, struct strbuf *why)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");

    if (file == NULL) {
        strbuf_appendf(why, "%s: %s", path, strerror(errno));
        return STATUS_NOTFOUND;
    }
    enum status status = read_all(file, path, text, why);

    if (!is_stdin) {
        (void)fclose(file);
    }
    return status;
}

/* Each of the headers has to be one, folds and all, or it would end the header of the message. */
static enum status append_headers(const char *const *headers, size_t count, struct strbuf *text,
                                  struct strbuf *why)
{
    for (size_t i = 0; i < count; i++) {
        size_t begun = text->len;
        struct message_field field;
        struct strbuf one;

        strbuf_append(text, headers[i]);
        strbuf_append_char(text, '\n');
        strbuf_init(&one);
        strbuf_append(&one, text->data + begun);

        bool right = read_field(one.data, one.data + one.len, &field) == one.data + one.len;

        strbuf_fini(&one);
        if (!right) {
            strbuf_appendf(why, "\"%s\" is no header: write Name: value", headers[i]);
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

enum status message_file_read(const char *path, const char *const *headers, size_t header_count,
                              struct message_file *message_out, struct strbuf *why)
{
    struct strbuf text;

    *message_out = (struct message_file){0};
    strbuf_init(&text);

    enum status status = append_headers(headers, header_count, &text, why);
    size_t file_begins = text.len;

    if (status == STATUS_OK && path != NULL) {
        status = open_and_read(path, &text, why);
    }
    if (status != STATUS_OK) {
        strbuf_fini(&text);
        return status;
    }
    message_out->text = text.data;
    (void)read_fields(message_out, text.data, text.data + file_begins);
    if (path != NULL) {
        take_file(message_out, text.data + file_begins, text.data + text.len);
    }
    return STATUS_OK;
}

void message_file_fini(struct message_file *message)
{
    free(message->fields);
    free(message->text);
    *message = (struct message_file){0};
}
