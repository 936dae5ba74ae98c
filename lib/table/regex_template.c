/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/regex_template.h"

#include <string.h>

#define MAX_NUMBER 99999u /* more than any pattern has groups */
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

static enum status invalid(struct regex_piece *piece, const char *why)
{
    *piece = (struct regex_piece){.text = why, .len = strlen(why)};
    return STATUS_INVALID;
}

/* Behind the bracket that closes the one in front of `at`; those between are counted. NULL: there is none. */
static const char *skip_brackets(const char *at, char open, char close)
{
    for (unsigned level = 1; *at != '\0'; at++) {
        if (*at == open) {
            level++;
        } else if (*at == close && --level == 0) {
            return at + 1;
        }
    }
    return NULL;
}

/* Behind a `$`. */
static enum status read_name(const char **at, struct regex_piece *piece)
{
    const char *name = *at;

    piece->is_name = true;
    if (*name == '{' || *name == '(') {
        const char *end = skip_brackets(name + 1, *name, *name == '{' ? '}' : ')');

        if (end == NULL) {
            return invalid(piece, "a bracket behind `$` is not closed");
        }
        piece->text = name + 1;
        piece->len = (size_t)(end - name) - 2;
        *at = end;
    } else {
        piece->text = name;
        piece->len = strspn(name, NAME_CHARS);
        *at = name + piece->len;
    }
    return piece->len > 0 ? STATUS_OK
                          : invalid(piece, "no number follows `$`; a dollar sign itself is `$$`");
}

enum status regex_template_next(const char **at, struct regex_piece *piece_out)
{
    *piece_out = (struct regex_piece){.text = *at};
    if (**at == '\0') {
        return STATUS_NOTFOUND;
    }
    if (**at != '$') {
        piece_out->len = strcspn(*at, "$");
        *at += piece_out->len;
        return STATUS_OK;
    }
    ++*at;
    if (**at == '$') {
        piece_out->len = 1;
        ++*at;
        return STATUS_OK;
    }
    return read_name(at, piece_out);
}

bool regex_template_number(const struct regex_piece *piece, unsigned *number_out)
{
    unsigned number = 0;

    for (size_t i = 0; i < piece->len; i++) {
        if (piece->text[i] < '0' || piece->text[i] > '9') {
            return false;
        }
        unsigned digit = (unsigned)(piece->text[i] - '0');

        number = number > MAX_NUMBER / 10 ? MAX_NUMBER : number * 10 + digit;
    }
    *number_out = number;
    return number > 0;
}
