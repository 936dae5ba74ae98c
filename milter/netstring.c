/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/netstring.h"

#include <stdbool.h>

#define MAX_DIGITS 9u

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits in front of the colon; false: there are none, too many, or a useless zero. */
static bool read_length(const char *data, size_t len, size_t *digits_out, size_t *length_out)
{
    size_t digits = 0;
    size_t length = 0;

    for (; digits < len && digits <= MAX_DIGITS && is_digit(data[digits]); digits++) {
        length = 10 * length + (size_t)(data[digits] - '0');
    }
    *digits_out = digits;
    *length_out = length;
    return digits <= MAX_DIGITS && !(digits > 1 && data[0] == '0') && !(digits == 0 && len > 0);
}

enum netstring_result netstring_read(const char *data, size_t len, size_t max,
                                     const char **content_out, size_t *content_len_out,
                                     size_t *used_out)
{
    size_t digits;
    size_t length;

    if (!read_length(data, len, &digits, &length) || length > max) {
        return NETSTRING_BAD;
    }
    if (digits == len) {
        return NETSTRING_PART;
    }
    if (data[digits] != ':') {
        return NETSTRING_BAD;
    }
    size_t begin = digits + 1;

    if (len - begin <= length) {
        return NETSTRING_PART;
    }
    if (data[begin + length] != ',') {
        return NETSTRING_BAD;
    }
    *content_out = data + begin;
    *content_len_out = length;
    *used_out = begin + length + 1;
    return NETSTRING_WHOLE;
}

void netstring_append(struct strbuf *out, const char *content, size_t len)
{
    strbuf_appendf(out, "%zu:", len);
    strbuf_append_len(out, content, len);
    strbuf_append_char(out, ',');
}
