/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/byteset.h"

#include <ctype.h>
#include <string.h>

#define WORD_BITS 64u

void byteset_add(struct byteset *set, unsigned char c)
{
    set->words[c / WORD_BITS] |= (uint64_t)1 << (c % WORD_BITS);
}

static bool has(const struct byteset *set, unsigned char c)
{
    return (set->words[c / WORD_BITS] >> (c % WORD_BITS) & 1u) != 0;
}

void byteset_add_all(struct byteset *set, const struct byteset *other)
{
    for (size_t i = 0; i < 4; i++) {
        set->words[i] |= other->words[i];
    }
}

void byteset_add_range(struct byteset *set, unsigned char first, unsigned char last)
{
    for (unsigned c = first; c <= last; c++) {
        byteset_add(set, (unsigned char)c);
    }
}

void byteset_invert(struct byteset *set)
{
    for (size_t i = 0; i < 4; i++) {
        set->words[i] = ~set->words[i];
    }
}

void byteset_fold(struct byteset *set)
{
    for (unsigned char c = 'a'; c <= 'z'; c++) {
        unsigned char upper = (unsigned char)(c - 'a' + 'A');

        if (has(set, c) || has(set, upper)) {
            byteset_add(set, c);
            byteset_add(set, upper);
        }
    }
}

bool byteset_overlaps(const struct byteset *a, const struct byteset *b)
{
    uint64_t common = 0;

    for (size_t i = 0; i < 4; i++) {
        common |= a->words[i] & b->words[i];
    }
    return common != 0;
}

/* ---- escapes ---- */

static void add_text(struct byteset *set, const char *text)
{
    for (; *text != '\0'; text++) {
        byteset_add(set, (unsigned char)*text);
    }
}

bool byteset_add_escape(struct byteset *set, char letter)
{
    struct byteset found = {{0}};

    switch (tolower((unsigned char)letter)) {
    case 'd':
        byteset_add_range(&found, '0', '9');
        break;
    case 'w':
        byteset_add_range(&found, '0', '9');
        byteset_add_range(&found, 'a', 'z');
        byteset_add(&found, '_');
        byteset_fold(&found);
        break;
    case 's':
        add_text(&found, " \t\n\v\f\r");
        break;
    case 'h':
        add_text(&found, " \t\xa0");
        break;
    case 'v':
        add_text(&found, "\n\v\f\r\x85");
        break;
    case 'r':
        if (letter == 'r') {
            return false;
        }
        add_text(&found, "\n\v\f\r\x85");
        byteset_add_all(set, &found);
        return true;
    case 'n':
        if (letter == 'n') {
            return false;
        }
        byteset_add(&found, '\n');
        break;
    default:
        return false;
    }
    if (letter >= 'A' && letter <= 'Z') {
        byteset_invert(&found);
    }
    byteset_add_all(set, &found);
    return true;
}

/* ---- [...] ---- */

static const struct {
    const char *name;
    int (*is)(int c);
} posix_classes[] = {
    {"alpha:]", isalpha}, {"digit:]", isdigit}, {"alnum:]", isalnum},   {"upper:]", isalpha},
    {"lower:]", isalpha}, {"space:]", isspace}, {"blank:]", isblank},   {"punct:]", ispunct},
    {"print:]", isprint}, {"graph:]", isgraph}, {"xdigit:]", isxdigit}, {"cntrl:]", iscntrl},
};

/* Behind `[:`. Returns what follows, or NULL if there is no such class. */
static const char *read_posix(const char *at, const char *end, struct byteset *set)
{
    bool is_inverted = at < end && *at == '^';

    at += is_inverted;
    for (size_t i = 0; i < sizeof(posix_classes) / sizeof(posix_classes[0]); i++) {
        size_t len = strlen(posix_classes[i].name);

        if ((size_t)(end - at) >= len && memcmp(at, posix_classes[i].name, len) == 0) {
            struct byteset found = {{0}};

            for (int c = 0; c < 128; c++) {
                if (posix_classes[i].is(c) != 0) {
                    byteset_add(&found, (unsigned char)c);
                }
            }
            if (is_inverted) {
                byteset_invert(&found);
            }
            byteset_add_all(set, &found);
            return at + len;
        }
    }
    return NULL;
}

/* Behind a backslash. *c_out: the one character it stands for; -1: it was added to the set. NULL: not understood. */
static const char *read_escape(const char *at, const char *end, struct byteset *set, int *c_out)
{
    static const char letters[] = "nrtfea";
    static const char values[] = "\n\r\t\f\033\a";

    *c_out = -1;
    if (at == end) {
        return NULL;
    }
    const char *letter = strchr(letters, *at);

    if (*at != '\0' && letter != NULL) {
        *c_out = values[letter - letters];
    } else if (*at == 'b') {
        *c_out = '\b';
    } else if (!isalnum((unsigned char)*at)) {
        *c_out = (unsigned char)*at;
    } else if (!byteset_add_escape(set, *at)) {
        if (strchr("cQEN", *at) != NULL) {
            return NULL;
        }
        byteset_add_range(set, 0, 255); /* \x41, \p{L}: what follows adds no harm */
    }
    return at + 1;
}

/* One member or the end of a range. */
static const char *read_member(const char *at, const char *end, struct byteset *set, int *c_out)
{
    if (*at == '\\') {
        return read_escape(at + 1, end, set, c_out);
    }
    *c_out = (unsigned char)*at;
    return at + 1;
}

const char *byteset_read_class(const char *at, const char *end, struct byteset *set)
{
    struct byteset found = {{0}};
    bool is_inverted = at < end && *at == '^';

    at += is_inverted;
    for (const char *first = at; at < end && (*at != ']' || at == first);) {
        const char *behind = *at == '[' && end - at > 2 && at[1] == ':'
                                 ? read_posix(at + 2, end, &found)
                                 : NULL;
        int c;
        int last;

        if (behind != NULL) {
            at = behind;
            continue;
        }
        at = read_member(at, end, &found, &c);
        if (at == NULL) {
            return NULL;
        }
        last = c;
        if (c >= 0 && end - at > 1 && at[0] == '-' && at[1] != ']') {
            at = read_member(at + 1, end, &found, &last);
            if (at == NULL) {
                return NULL;
            }
            if (last < 0) {
                byteset_add(&found, '-');
                last = c;
            }
        }
        if (c >= 0) {
            byteset_add_range(&found, (unsigned char)c, (unsigned char)last);
        }
    }
    if (at == end) {
        return NULL;
    }
    if (is_inverted) {
        byteset_invert(&found);
    }
    byteset_add_all(set, &found);
    return at + 1;
}
