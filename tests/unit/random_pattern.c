/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/random_pattern.h"

#include "lib/table/pattern.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 4u

struct maker {
    struct random_source *source;
    struct strbuf *pattern;
    struct strbuf *sample; /* NULL: what is made stands for no text */
    unsigned depth;
};

static void make_choice(struct maker *maker);

unsigned random_below(struct random_source *source, unsigned limit)
{
    /* splitmix64 */
    uint64_t z = source->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) >> 32) % limit;
}

static bool one_in(struct maker *maker, unsigned count)
{
    return random_below(maker->source, count) == 0;
}

#define PICK(maker, list) list[random_below((maker)->source, sizeof(list) / sizeof((list)[0]))]

static void put(struct maker *maker, const char *pattern)
{
    strbuf_append(maker->pattern, pattern);
}

static void show(struct maker *maker, const char *sample)
{
    if (maker->sample != NULL) {
        strbuf_append(maker->sample, sample);
    }
}

static void show_char(struct maker *maker, char c)
{
    if (maker->sample != NULL) {
        strbuf_append_char(maker->sample, c);
    }
}

/* ---- items with a text ---- */

static void make_word(struct maker *maker)
{
    static const char *const words[] = {
        "viagra", "Subject:", "From:",     "foo",  "bar",    "cheap",    "win",
        "ab",     "kiss",     "x",         "exe",  "online", "casi",     "aaa",
        "abcabc", "example",  "com",       "K",    "s",      "0",        "12345",
        " ",      "a b c ",   "\xc3\xa9t", "\xff", "#",      "mail-host"};
    const char *word = PICK(maker, words);

    put(maker, word);
    show(maker, word);
}

static void make_escape(struct maker *maker)
{
    static const struct {
        const char *pattern, *sample;
    } escapes[] = {
        {"\\.", "."},         {"\\x41", "A"},        {"\\x{6b}", "k"}, {"\\xE9", "\xe9"},
        {"\\Qa.b\\E", "a.b"}, {"\\Qab\\E+", "abbb"}, {"\\n", "\n"},    {"\\t", "\t"},
        {"\\/", "/"},         {"\\[", "["},          {"\\d", "7"},     {"\\D", "z"},
        {"\\w", "q"},         {"\\W", "-"},          {"\\s", " "},     {"\\S", "S"},
        {"\\h", "\t"},        {"\\H", "h"},          {"\\v", "\n"},    {"\\V", "v"},
        {"\\N", "n"},         {"\\C", "c"},          {"\\R", "\r\n"},  {"\\X", "x"},
        {"\\pL", "L"},        {"\\p{Lu}", "U"},      {"\\P{^L}", "L"}, {"\\p{^L}", "1"},
        {"\\060", "0"},       {"\\0", ""},           {"\\e", "\033"},  {"\\xg", "g"},
        {"\\o{101}", "A"},    {"\\cA", "\001"},      {"\\E", ""},      {"\\Q\\E", ""},
        {"{", "{"},           {"a{,2}", "a{,2}"},    {"b{x}", "b{x}"}, {"]", "]"},
        {"}", "}"},           {"\\Qfoo", "foo"},     {"\\ ", " "},     {"a{ 1 }", "a{ 1 }"},
        {"\\N{2}", "nn"},     {"\\Q(a|\\E", "(a|"},  {"\\101", "A"},   {"\\#", "#"},
        {"\\W", "\xe9"},      {"\\S", "\xff"},       {"\\D", "\x80"},  {"\\H", "\xfe"},
        {"\\V", "\xc3"},
    };
    size_t which = random_below(maker->source, sizeof(escapes) / sizeof(escapes[0]));

    put(maker, escapes[which].pattern);
    show(maker, escapes[which].sample);
}

static void make_class(struct maker *maker)
{
    static const struct {
        const char *pattern;
        char sample;
    } classes[] = {
        {"[abc]", 'b'},         {"[^abc]", 'd'},
        {"[a-z0-9_]", 'k'},     {"[[:alpha:]]", 'A'},
        {"[^[:alpha:]]", '5'},  {"[[:^digit:]]", 'x'},
        {"[\\w.-]", '-'},       {"[]a]", ']'},
        {"[^]a]", 'b'},         {"[a-]", '-'},
        {"[\\x41-\\x43]", 'C'}, {"[\\b]", '\b'},
        {"[^\\w]", '\xe9'},     {"[^\\D]", '3'},
        {"[i1!|l]", '!'},       {"[o0]", '0'},
        {"[A-F]", 'B'},         {"[\\]\\\\]", ']'},
        {"[\\d-x]", '-'},       {"[[a]", '['},
        {"[\\n\\t ]", '\n'},    {"[\xe0-\xff]", '\xf0'},
        {"[^\x80-\xff]", 'p'},  {"[[:ascii:]]", '%'},
        {"[+--]", ','},         {"[\\Qa]\\E]", 'a'},
        {"[kK]", 'K'},          {"[s]", 's'},
        {"[^\\p{L}]", '2'},     {"[\\p{L}2]", '2'},
        {"[[:word:]#]", '#'},   {"[# ]", ' '},
        {"[\\061]", '1'},       {"[[:punct:]]", '['},
        {"[[:cntrl:]]", '\1'},  {"[[.a.]]", 'a'},
    };
    size_t which = random_below(maker->source, sizeof(classes) / sizeof(classes[0]));

    put(maker, classes[which].pattern);
    show_char(maker, classes[which].sample);
}

static void make_any(struct maker *maker)
{
    static const char *const any[] = {".", ".*", ".*?", ".+", "[^@]*", "\\S*", "(.*\\.)?"};
    static const char *const texts[] = {"x", "z", "K", "7"};

    put(maker, PICK(maker, any));
    show(maker, PICK(maker, texts));
}

/* ---- items without a text ---- */

static void make_assertion(struct maker *maker)
{
    static const char *const assertions[] = {"^",   "$",   "\\b", "\\B", "\\A", "\\z",
                                             "\\Z", "\\G", "\\K", "^",   "$",   "\\b"};

    put(maker, PICK(maker, assertions));
}

static void make_look_around(struct maker *maker)
{
    static const char *const opens[] = {"(?=", "(?!", "(?<=", "(?<!"};
    struct strbuf *sample = maker->sample;

    put(maker, PICK(maker, opens));
    maker->sample = NULL;
    make_choice(maker);
    maker->sample = sample;
    put(maker, ")");
}

static void make_oddity(struct maker *maker)
{
    static const char *const oddities[] = {"\\1",         "\\2",
                                           "(?1)",        "(?R)",
                                           "(?-1)",       "\\g1",
                                           "\\g{-1}",     "(?(1)a|b)",
                                           "(?#it)",      "(*FAIL)",
                                           "(*ACCEPT)",   "(*COMMIT)",
                                           "(*SKIP)",     "(?C1)",
                                           "\\k<n>",      "(?P=n)",
                                           "(?&n)",       "(?P>n)",
                                           "[[:<:]]",     "[[:>:]]",
                                           "(?(?=a)b|c)", "(?|a|b)",
                                           "(?>ab|a)",    "(?<n>foo)",
                                           "(?'n'bar)",   "(?P<n>x)",
                                           "(?i)",        "(?-i)",
                                           "(?x)",        "(?xx)",
                                           "(?m)",        "(?s)",
                                           "(?-s)",       "(?U)",
                                           "(?J)",        "(?n)",
                                           "(?^)",        "(?x: a b # c\n d)",
                                           "(?i-m:ab)",   "(?:)",
                                           "()",          "|",
                                           "(*pla:a)",    "(?(DEFINE)a)",
                                           "(*THEN)",     "(*PRUNE)",
                                           "(?)",         "(?+1)(a)",
                                           "(?1(2))",     "\\g<1>",
                                           "(?0)",        "(*UTF)",
                                           "(*UCP)"};

    put(maker, PICK(maker, oddities));
}

/* ---- what is made of them ---- */

static void make_group(struct maker *maker)
{
    static const char *const opens[] = {
        "(", "(", "(?:", "(?:", "(?i:", "(?>", "(?-i:", "(?<name>", "(?m:", "(?s-x:"};

    put(maker, PICK(maker, opens));
    make_choice(maker);
    put(maker, ")");
}

static void make_item(struct maker *maker)
{
    unsigned kind = random_below(maker->source, 100);

    if (kind < 45) {
        make_word(maker);
    } else if (kind < 55) {
        make_escape(maker);
    } else if (kind < 65) {
        make_class(maker);
    } else if (kind < 75) {
        make_any(maker);
    } else if (kind < 80) {
        make_assertion(maker);
    } else if (kind < 94 && maker->depth < MAX_DEPTH) {
        make_group(maker);
    } else if (kind < 96 && maker->depth < MAX_DEPTH) {
        make_look_around(maker);
    } else if (kind < 99) {
        make_oddity(maker);
    }
}

/* A quantifier; the text of the item, which begins at `from`, is repeated as often as it asks for. */
static void make_quantifier(struct maker *maker, size_t from)
{
    static const struct {
        const char *pattern;
        unsigned times;
    } quantifiers[] = {{"?", 1},   {"?", 0},      {"*", 0},     {"*", 2},      {"+", 1},
                       {"+", 3},   {"{2}", 2},    {"{1,3}", 2}, {"{2,}", 3},   {"{0,2}", 0},
                       {"*?", 1},  {"+?", 1},     {"??", 0},    {"++", 1},     {"?+", 1},
                       {"{1}", 1}, {"{3}{2}", 6}, {"{0}", 0},   {"{1,2}?", 1}, {"{2,9}+", 2},
                       {" +", 1},  {" ?", 0},     {"+ ?", 1},   {"\\E*", 0},   {" {2}", 2}};
    size_t which = random_below(maker->source, sizeof(quantifiers) / sizeof(quantifiers[0]));
    struct strbuf *sample = maker->sample;

    put(maker, quantifiers[which].pattern);
    if (sample == NULL) {
        return;
    }
    size_t len = sample->len - from;

    if (quantifiers[which].times == 0) {
        sample->len = from;
        sample->data[from] = '\0';
    }
    for (unsigned i = 1; i < quantifiers[which].times && sample->len < 2000; i++) {
        char *copy = strndup(sample->data + from, len);

        strbuf_append_len(sample, copy, strlen(copy));
        free(copy);
    }
}

static void make_sequence(struct maker *maker)
{
    unsigned items = 1 + random_below(maker->source, maker->depth == 0 ? 6 : 3);

    for (unsigned i = 0; i < items; i++) {
        size_t from = maker->sample != NULL ? maker->sample->len : 0;

        make_item(maker);
        if (one_in(maker, 5)) {
            make_quantifier(maker, from);
        }
    }
}

static void make_choice(struct maker *maker)
{
    unsigned branches = one_in(maker, 3) ? 2 + random_below(maker->source, 3) : 1;
    unsigned shown = random_below(maker->source, branches);
    struct strbuf *sample = maker->sample;

    maker->depth++;
    for (unsigned i = 0; i < branches; i++) {
        maker->sample = i == shown ? sample : NULL;
        put(maker, i > 0 ? "|" : "");
        make_sequence(maker);
    }
    maker->sample = sample;
    maker->depth--;
}

void random_pattern(struct random_source *source, struct strbuf *pattern, struct strbuf *sample)
{
    struct maker maker = {.source = source, .pattern = pattern, .sample = sample};

    if (one_in(&maker, 3)) {
        put(&maker, "^");
    }
    if (one_in(&maker, 4)) {
        make_choice(&maker);
    } else {
        make_sequence(&maker);
    }
    if (one_in(&maker, 5)) {
        put(&maker, "$");
    }
}

unsigned random_pattern_flags(struct random_source *source)
{
    unsigned flags = random_below(source, 4) != 0 ? PATTERN_CASELESS | PATTERN_DOTALL : 0;

    if (random_below(source, 3) == 0) {
        flags ^= 1u << random_below(source, 7);
    }
    if (random_below(source, 6) == 0) {
        flags ^= PATTERN_MULTILINE;
    }
    return flags;
}

static void put_before(struct strbuf *text, const char *more)
{
    struct strbuf all;

    strbuf_init(&all);
    strbuf_append(&all, more);
    strbuf_append_len(&all, text->data, text->len);
    strbuf_fini(text);
    *text = all;
}

void random_change(struct random_source *source, struct strbuf *text)
{
    static const char *const more[] = {
        "x", " ", "\n", "Subject: ", "viagra", "\xc3\xa9", "\xe2\x84\xaa", "a", "0"};
    static const char *const before[] = {"x\n", "\n", "x", "Subject: \n\t", "\xff"};
    char *at;

    switch (random_below(source, 7)) {
    case 0:
        for (at = text->data; at < text->data + text->len; at++) {
            *at = (char)(random_below(source, 2) == 0 ? toupper((unsigned char)*at)
                                                      : tolower((unsigned char)*at));
        }
        break;
    case 1:
        if (text->len > 0) {
            text->data[random_below(source, (unsigned)text->len)] = (char)random_below(source, 256);
        }
        break;
    case 2:
        strbuf_append(text, more[random_below(source, sizeof(more) / sizeof(more[0]))]);
        break;
    case 3:
        if (text->len > 0) {
            text->len = random_below(source, (unsigned)text->len);
            text->data[text->len] = '\0';
        }
        break;
    case 4:
        put_before(text, before[random_below(source, sizeof(before) / sizeof(before[0]))]);
        break;
    default:
        break;
    }
}
