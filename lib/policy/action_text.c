/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/action_text.h"

#include "lib/mail/address.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

char *action_text_trim(char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    size_t len = strlen(text);

    while (len > 0 && is_blank(text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

/* Copies a quoted string with its quotes; returns what follows. */
static const char *copy_quoted(const char *at, char **end, const char **error)
{
    *(*end)++ = *at++;
    while (*at != '\0' && *at != '"') {
        if (*at == '\\' && at[1] != '\0') {
            *(*end)++ = *at++;
        }
        *(*end)++ = *at++;
    }
    if (*at == '\0') {
        *error = "a quote is not closed";
        return at;
    }
    *(*end)++ = *at++;
    return at;
}

struct action_text action_text_scan(const char *value, struct arena *arena)
{
    struct action_text scan = {.text = arena_alloc(arena, strlen(value) + 1)};
    char *end = scan.text;
    int angles = 0;

    while (*value != '\0' && scan.error == NULL) {
        if (*value == '"') {
            value = copy_quoted(value, &end, &scan.error);
        } else if (*value == '(') {
            const char *behind = address_skip_comment(value);

            if (behind == NULL) {
                scan.error = "a parenthesis is not closed";
                break;
            }
            value = behind;
            scan.had_comment = true;
            while (is_blank(*value) && end > scan.text && is_blank(end[-1])) {
                value++;
            }
        } else if (*value == ')') {
            scan.error = "a parenthesis closes that none opened";
        } else {
            angles += (*value == '<') - (*value == '>');
            if (angles < 0) {
                scan.error = "a '>' without '<'";
            }
            if (*value == '\\' && value[1] != '\0') {
                *end++ = *value++;
            }
            *end++ = *value++;
        }
    }
    if (scan.error == NULL && angles > 0) {
        scan.error = "a '<' without '>'";
    }
    *end = '\0';
    scan.text = action_text_trim(scan.text);
    return scan;
}

char *action_text_dequote(char *text)
{
    char *end = text;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            continue;
        }
        *end++ = *at;
    }
    *end = '\0';
    return action_text_trim(text);
}
