/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/regex_input.h"

#include <limits.h>
#include <string.h>

/* PCRE2 allows 65535. */
#define MAX_NUMBER 99999u

bool regex_byte_is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

bool regex_byte_is_space(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

bool regex_input_ended(const struct regex_input *input)
{
    return input->at == input->end;
}

bool regex_input_looks_at(const struct regex_input *input, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(input->end - input->at) >= len && memcmp(input->at, text, len) == 0;
}

bool regex_input_take(struct regex_input *input, const char *text)
{
    bool is_there = regex_input_looks_at(input, text);

    input->at += is_there ? strlen(text) : 0;
    return is_there;
}

static bool read_number(const unsigned char **at, const unsigned char *end, unsigned *number_out)
{
    const unsigned char *from = *at;

    *number_out = 0;
    while (*at < end && regex_byte_is_digit(**at) && *number_out <= MAX_NUMBER) {
        *number_out = *number_out * 10 + (unsigned)(*(*at)++ - '0');
    }
    return *at > from;
}

static bool take_braces(struct regex_input *input, unsigned *least_out, unsigned *most_out)
{
    const unsigned char *at = input->at + 1;

    if (!read_number(&at, input->end, least_out)) {
        return false;
    }
    *most_out = *least_out;
    if (at < input->end && *at == ',') {
        at++;
        if (!read_number(&at, input->end, most_out)) {
            *most_out = UINT_MAX;
        }
    }
    if (at == input->end || *at != '}') {
        return false;
    }
    input->at = at + 1;
    return true;
}

bool regex_input_take_quantifier(struct regex_input *input, unsigned *least_out, unsigned *most_out)
{
    *least_out = 0;
    *most_out = UINT_MAX;
    if (regex_input_ended(input)) {
        return false;
    }
    switch (*input->at) {
    case '?':
        *most_out = 1;
        break;
    case '+':
        *least_out = 1;
        break;
    case '*':
        break;
    case '{':
        return take_braces(input, least_out, most_out);
    default:
        return false;
    }
    input->at++;
    return true;
}

bool regex_input_brace_is_doubtful(const struct regex_input *input)
{
    const unsigned char *at = input->at + 1;

    while (at < input->end &&
           (regex_byte_is_digit(*at) || *at == ',' || regex_byte_is_space(*at))) {
        at++;
    }
    return at < input->end && *at == '}' && at > input->at + 1;
}
