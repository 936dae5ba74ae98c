/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/mail/reply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct reply reply_make(int code, const char *dsn, const char *text)
{
    struct reply reply = {.code = code, .text = text};

    (void)snprintf(reply.dsn, sizeof(reply.dsn), "%s", dsn);
    return reply;
}

/* Number of digits at `text`, at most `max`. */
static size_t digits(const char *text, size_t max)
{
    size_t n = 0;

    while (n < max && isdigit((unsigned char)text[n])) {
        n++;
    }
    return n;
}

bool reply_is_dsn(const char *text, size_t len)
{
    if (len < 5 || len >= REPLY_DSN_SIZE || strchr("245", text[0]) == NULL || text[1] != '.') {
        return false;
    }
    size_t subject = digits(text + 2, len - 2);

    if (subject < 1 || subject > 3 || 2 + subject >= len || text[2 + subject] != '.') {
        return false;
    }
    size_t detail = digits(text + 3 + subject, len - 3 - subject);

    return detail >= 1 && detail <= 3 && 3 + subject + detail == len;
}

const char *reply_clean(struct arena *arena, const char *text)
{
    size_t len = strnlen(text, REPLY_MAX_TEXT);
    char *clean = arena_strndup(arena, text, len);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)clean[i];

        if (c < ' ' || c == 0x7f) {
            clean[i] = ' ';
        } else if (c > 0x7f) {
            clean[i] = '?';
        }
    }
    while (len > 0 && clean[len - 1] == ' ') {
        clean[--len] = '\0';
    }
    return clean;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

bool reply_parse(const char *text, const char *default_dsn, struct arena *arena,
                 struct reply *reply_out)
{
    text = skip_blanks(text);
    if (digits(text, 4) != 3 || (text[0] != '4' && text[0] != '5') ||
        (text[3] != '\0' && text[3] != ' ' && text[3] != '\t')) {
        return false;
    }
    int code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
    const char *rest = skip_blanks(text + 3);
    size_t word = strcspn(rest, " \t");
    char dsn[REPLY_DSN_SIZE];

    if (reply_is_dsn(rest, word)) {
        (void)snprintf(dsn, sizeof(dsn), "%.*s", (int)word, rest);
        rest = skip_blanks(rest + word);
    } else if (default_dsn != NULL) {
        (void)snprintf(dsn, sizeof(dsn), "%s", default_dsn);
    } else {
        (void)snprintf(dsn, sizeof(dsn), "%c.0.0", text[0]);
    }
    *reply_out = reply_make(code, dsn, reply_clean(arena, rest));
    return true;
}
