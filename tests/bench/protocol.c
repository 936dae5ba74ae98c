/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/protocol.h"

#include <ctype.h>
#include <string.h>

static const struct protocol_step steps[STAGE_COUNT] = {
    [STAGE_NEGOTIATE] = {'O', 0, 0, -1},
    [STAGE_CONNECT] = {'C', 0x1, 0x1000, MACRO_CONNECT},
    [STAGE_HELO] = {'H', 0x2, 0x2000, MACRO_HELO},
    [STAGE_MAIL] = {'M', 0x4, 0x4000, MACRO_MAIL},
    [STAGE_RCPT] = {'R', 0x8, 0x8000, MACRO_RCPT},
    [STAGE_DATA] = {'T', 0x200, 0x10000, MACRO_DATA},
    [STAGE_HEADER] = {'L', 0x20, 0x80, -1},
    [STAGE_EOH] = {'N', 0x40, 0x40000, MACRO_EOH},
    [STAGE_BODY] = {'B', 0x10, 0x80000, -1},
    [STAGE_EOM] = {'E', 0, 0, MACRO_EOM},
};

const struct protocol_step *protocol_step(enum stage stage)
{
    return &steps[stage];
}

uint32_t protocol_action(char letter)
{
    switch (letter) {
    case 'h':
    case 'i':
        return 0x1;
    case 'b':
        return 0x2;
    case '+':
        return 0x4;
    case '-':
        return 0x8;
    case 'm':
        return 0x10;
    case 'q':
        return 0x20;
    case 'e':
        return 0x40;
    case '2':
        return 0x80;
    default:
        return 0;
    }
}

const char *protocol_reply_name(char letter)
{
    static const struct {
        char letter;
        const char *name;
    } names[] = {
        {'c', "continue"},   {'a', "accept"},    {'r', "reject"},    {'t', "tempfail"},
        {'d', "discard"},    {'y', "replycode"}, {'s', "skip"},      {'p', "progress"},
        {'q', "quarantine"}, {'O', "negotiate"}, {'h', "addheader"}, {'i', "insheader"},
        {'m', "chgheader"},  {'b', "replbody"},  {'+', "addrcpt"},   {'2', "addrcpt_par"},
        {'-', "delrcpt"},    {'e', "chgfrom"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].letter == letter)
            return names[i].name;
    return NULL;
}

static bool line_valid(const char *line, size_t len, bool last)
{
    return len >= 4 && (line[0] == '4' || line[0] == '5') && isdigit((unsigned char)line[1]) &&
           isdigit((unsigned char)line[2]) && line[3] == (last ? ' ' : '-') &&
           memchr(line, '\r', len) == NULL;
}

bool protocol_reply_valid(const char *data, size_t len)
{
    if (len == 0 || data[len - 1] != '\0' || memchr(data, '\0', len - 1) != NULL)
        return false;
    const char *end = data + len - 1;
    for (;;) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        if (newline == NULL)
            return line_valid(data, (size_t)(end - data), true);
        if (newline == data || newline[-1] != '\r' ||
            !line_valid(data, (size_t)(newline - 1 - data), false))
            return false;
        data = newline + 1;
    }
}
