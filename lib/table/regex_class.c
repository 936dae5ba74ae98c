/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/regex_class.h"

#include <string.h>

#define FIRST_BEYOND_ASCII 128u

/* ---- sets ---- */

void regex_set_add(struct regex_set *set, unsigned char byte)
{
    set->bits[byte / 8] = (unsigned char)(set->bits[byte / 8] | 1u << byte % 8);
}

static bool set_has(const struct regex_set *set, unsigned byte)
{
    return (set->bits[byte / 8] >> byte % 8 & 1) != 0;
}

void regex_set_add_all(struct regex_set *set)
{
    memset(set->bits, 0xff, sizeof(set->bits));
}

static void add_range(struct regex_set *set, unsigned from, unsigned to)
{
    for (unsigned byte = from; byte <= to; byte++) {
        regex_set_add(set, (unsigned char)byte);
    }
}

static void add_set(struct regex_set *set, const struct regex_set *more)
{
    for (size_t i = 0; i < sizeof(set->bits); i++) {
        set->bits[i] |= more->bits[i];
    }
}

static void negate(struct regex_set *set)
{
    for (size_t i = 0; i < sizeof(set->bits); i++) {
        set->bits[i] = (unsigned char)~set->bits[i];
    }
}

static void add_beyond_ascii(struct regex_set *set)
{
    add_range(set, FIRST_BEYOND_ASCII, 255);
}

void regex_set_fold(struct regex_set *set)
{
    for (unsigned letter = 'A'; letter <= 'Z'; letter++) {
        if (set_has(set, letter)) {
            regex_set_add(set, (unsigned char)(letter - 'A' + 'a'));
            set->bits[letter / 8] = (unsigned char)(set->bits[letter / 8] & ~(1u << letter % 8));
        }
    }
}

/* ---- named sets ---- */

/* Ranges of ASCII, as pairs of first and last. */
struct named {
    const char *name;
    const char *ranges;
};

static const struct named posix_names[] = {
    {"alnum", "09AZaz"},
    {"alpha", "AZaz"},
    {"ascii", "\1\177"},
    {"blank", "\t\t  "},
    {"cntrl", "\1\37\177\177"},
    {"digit", "09"},
    {"graph", "!~"},
    {"lower", "az"},
    {"print", " ~"},
    {"punct", "!/:@[`{~"},
    {"space", "\t\r  "},
    {"upper", "AZ"},
    {"word", "09AZ__az"},
    {"xdigit", "09AFaf"},
};

/* The NUL byte ends a list of ranges; those that have it say so. */
static bool has_nul(const char *name)
{
    return strcmp(name, "ascii") == 0 || strcmp(name, "cntrl") == 0;
}

static void add_ranges(struct regex_set *set, const char *ranges)
{
    for (; ranges[0] != '\0'; ranges += 2) {
        add_range(set, (unsigned char)ranges[0], (unsigned char)ranges[1]);
    }
}

/* As PCRE2's, in ASCII, and all beyond. */
static void add_named(struct regex_set *set, const char *ranges, bool nul, bool negated)
{
    struct regex_set named = {{0}};

    add_ranges(&named, ranges);
    if (nul) {
        regex_set_add(&named, 0);
    }
    if (negated) {
        negate(&named);
    }
    add_beyond_ascii(&named);
    add_set(set, &named);
}

bool regex_class_named(unsigned char letter, struct regex_set *set)
{
    static const struct named names[] = {
        {"d", "09"}, {"w", "09AZ__az"}, {"s", "\t\r  "}, {"h", "\t\t  "}, {"v", "\n\r"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unsigned char small = (unsigned char)names[i].name[0];

        if (letter == small || letter == small - 'a' + 'A') {
            add_named(set, names[i].ranges, false, letter != small);
            return true;
        }
    }
    return false;
}

/* ---- escapes ---- */

static bool is_letter(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* -1: none. */
static int hex_value(unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char small = byte >= 'A' && byte <= 'F' ? (unsigned char)(byte - 'A' + 'a') : byte;
    const char *place = small != '\0' ? strchr(digits, small) : NULL;

    return place != NULL ? (int)(place - digits) : -1;
}

/* \xhh, or \x{h...} below 256. */
static bool read_hex(struct regex_input *input, unsigned char *byte_out)
{
    bool braced = input->at < input->end && *input->at == '{';
    unsigned value = 0;
    unsigned digits = 0;

    input->at += braced;
    while (input->at < input->end && hex_value(*input->at) >= 0 && (braced || digits < 2)) {
        value = value * 16 + (unsigned)hex_value(*input->at++);
        digits++;
        if (value > 255) {
            return false;
        }
    }
    *byte_out = (unsigned char)value;
    if (!braced) {
        return true;
    }
    return digits > 0 && input->at < input->end && *input->at++ == '}';
}

/* Behind \0: two more octal digits at most. */
static unsigned char read_octal(struct regex_input *input)
{
    unsigned value = 0;

    for (unsigned digits = 0;
         digits < 2 && input->at < input->end && *input->at >= '0' && *input->at <= '7'; digits++) {
        value = value * 8 + (unsigned)(*input->at++ - '0');
    }
    return (unsigned char)value;
}

bool regex_class_escaped_byte(struct regex_input *input, unsigned char *byte_out)
{
    static const char letters[] = "aefnrt";
    static const char bytes[] = "\a\033\f\n\r\t";

    if (input->at == input->end) {
        return false;
    }
    unsigned char letter = *input->at++;

    if (letter == 'x') {
        return read_hex(input, byte_out);
    }
    if (letter == '0') {
        *byte_out = read_octal(input);
        return true;
    }
    if (!is_letter(letter) && !regex_byte_is_digit(letter)) {
        *byte_out = letter;
        return true;
    }
    const char *place = strchr(letters, letter);

    if (place != NULL) {
        *byte_out = (unsigned char)bytes[place - letters];
    }
    return place != NULL;
}

bool regex_class_skip_property(struct regex_input *input)
{
    if (input->at == input->end) {
        return false;
    }
    if (*input->at++ != '{') {
        return true;
    }
    const unsigned char *close = memchr(input->at, '}', (size_t)(input->end - input->at));

    if (close == NULL) {
        return false;
    }
    input->at = close + 1;
    return true;
}

/* ---- classes ---- */

struct class_reader {
    struct regex_input *input;
    struct regex_set set;
    bool named; /* what is beyond ASCII is not sure */
};

/* [:name:] or [:^name:], from its `[`. */
static bool read_posix(struct class_reader *reader)
{
    struct regex_input *input = reader->input;
    const unsigned char *at = input->at + 2;
    bool negated = at < input->end && *at == '^';

    if (input->at[1] != ':') {
        return false;
    }
    at += negated;
    for (size_t i = 0; i < sizeof(posix_names) / sizeof(posix_names[0]); i++) {
        size_t len = strlen(posix_names[i].name);

        if ((size_t)(input->end - at) >= len + 2 && memcmp(at, posix_names[i].name, len) == 0 &&
            memcmp(at + len, ":]", 2) == 0) {
            add_named(&reader->set, posix_names[i].ranges, has_nul(posix_names[i].name), negated);
            reader->named = true;
            input->at = at + len + 2;
            return true;
        }
    }
    return false;
}

static bool at_posix(const struct regex_input *input)
{
    return input->end - input->at >= 2 && input->at[0] == '[' &&
           (input->at[1] == ':' || input->at[1] == '.' || input->at[1] == '=');
}

/* A backslash was read. *byte_out is set and true returned for a single byte; *known_out: understood at all. */
static bool read_class_escape(struct class_reader *reader, bool *known_out, unsigned char *byte_out)
{
    struct regex_input *input = reader->input;

    *known_out = true;
    if (input->at < input->end && regex_class_named(*input->at, &reader->set)) {
        input->at++;
        reader->named = true;
        return false;
    }
    if (input->at < input->end && (*input->at == 'p' || *input->at == 'P')) {
        input->at++;
        *known_out = false; /* even in ASCII not worth the tables */
        return false;
    }
    if (input->at < input->end && *input->at == 'b') {
        input->at++;
        *byte_out = '\b';
        return true;
    }
    *known_out = regex_class_escaped_byte(input, byte_out);
    return *known_out;
}

/* The byte behind the `-` of a range. */
static bool read_range_end(struct class_reader *reader, unsigned char *byte_out)
{
    struct regex_input *input = reader->input;
    struct class_reader probe = {.input = input};
    bool known;

    if (input->at == input->end || at_posix(input)) {
        return false;
    }
    *byte_out = *input->at++;
    return *byte_out != '\\' || read_class_escape(&probe, &known, byte_out);
}

/* A hyphen that is not the last of the class. */
static bool at_range(const struct regex_input *input)
{
    return input->end - input->at >= 2 && input->at[0] == '-' && input->at[1] != ']';
}

/* One member: a byte, a range, an escape or a name. */
static bool read_member(struct class_reader *reader)
{
    struct regex_input *input = reader->input;
    bool known = true;

    if (at_posix(input)) {
        return read_posix(reader) && !at_range(input);
    }
    unsigned char first = *input->at++;

    if (first == '\\' && !read_class_escape(reader, &known, &first)) {
        return known && !at_range(input);
    }
    unsigned char last = first;

    if (at_range(input)) {
        input->at++;
        if (!read_range_end(reader, &last) || last < first) {
            return false;
        }
    }
    add_range(&reader->set, first, last);
    return true;
}

bool regex_class_read(struct regex_input *input, struct regex_set *set)
{
    struct class_reader reader = {.input = input};
    bool negated = input->at < input->end && *input->at == '^';

    /* [[:<:]] is an assertion. */
    if (input->end - input->at >= 3 &&
        (memcmp(input->at, "[:<", 3) == 0 || memcmp(input->at, "[:>", 3) == 0)) {
        return false;
    }
    input->at += negated;
    for (bool is_first = true; input->at < input->end; is_first = false) {
        if (*input->at == ']' && !is_first) {
            input->at++;
            if (negated) {
                negate(&reader.set);
            }
            if (reader.named) {
                add_beyond_ascii(&reader.set);
            }
            *set = reader.set;
            return true;
        }
        if (!read_member(&reader)) {
            return false;
        }
    }
    return false;
}
