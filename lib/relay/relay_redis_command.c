/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 24

/* "*3\r\n" or "$12\r\n": without printf, because every question has some. */
static void append_head(struct strbuf *out, char kind, size_t number)
{
    char text[NUMBER_SIZE];
    size_t at = sizeof(text);

    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text[--at] = kind;
    strbuf_append_len(out, text + at, sizeof(text) - at);
}

void relay_redis_command_begin(struct strbuf *out, size_t count)
{
    append_head(out, '*', count);
}

void relay_redis_command_add(struct strbuf *out, const char *bytes, size_t len)
{
    append_head(out, '$', len);
    strbuf_append_len(out, bytes, len);
    strbuf_append_len(out, "\r\n", 2);
}

void relay_redis_command_text(struct strbuf *out, const char *text)
{
    relay_redis_command_add(out, text, strlen(text));
}

void relay_redis_command_number(struct strbuf *out, int64_t number)
{
    char text[NUMBER_SIZE];
    int len = snprintf(text, sizeof(text), "%" PRId64, number);

    relay_redis_command_add(out, text, (size_t)len);
}
