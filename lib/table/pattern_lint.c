/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/pattern_lint.h"

#include "lib/base/xalloc.h"
#include "lib/table/byteset.h"
#include "lib/table/pattern.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each outermost repetition becomes the automaton of its positions: which byte can follow which. It takes exponential time if some text leads
 * from a position back to itself in two ways: by an edge that two repetitions made, or by two paths that part and meet again.
 */
#define MAX_POSITIONS 192u
#define MAX_DEPTH 250u
#define MAX_STEPS 20000000u
/* A repetition with a bound is as good as one without from here on. */
#define MANY 10u
#define SHOWN_MAX 60

struct positions {
    uint64_t words[MAX_POSITIONS / 64];
};

/* A part of a pattern: where it can begin and end. */
struct fragment {
    bool nullable;
    struct positions first;
    struct positions last;
};

struct lint {
    const char *text;
    const char *at;
    const char *end;
    bool is_extended;
    bool gave_up;
    bool collects; /* inside of a repetition: positions and edges are noted */
    unsigned depth;
    const char *bad; /* the repetition that may explode; NULL: none yet */
    size_t bad_len;

    unsigned count;
    struct byteset sets[MAX_POSITIONS];
    unsigned char edges[MAX_POSITIONS][MAX_POSITIONS]; /* number of ways */
    unsigned char seen[MAX_POSITIONS][MAX_POSITIONS];  /* FORWARD, BACKWARD */
    uint16_t queue[MAX_POSITIONS * MAX_POSITIONS];
};

enum direction { FORWARD = 1, BACKWARD = 2 };

static void parse_alternatives(struct lint *lint, struct fragment *out);

/* ---- fragments ---- */

static bool is_in(const struct positions *set, unsigned position)
{
    return (set->words[position / 64] >> (position % 64) & 1u) != 0;
}

static void add_all(struct positions *set, const struct positions *other)
{
    for (size_t i = 0; i < sizeof(set->words) / sizeof(set->words[0]); i++) {
        set->words[i] |= other->words[i];
    }
}

static void connect(struct lint *lint, const struct positions *from, const struct positions *to)
{
    for (unsigned i = 0; lint->collects && i < lint->count; i++) {
        for (unsigned j = 0; is_in(from, i) && j < lint->count; j++) {
            if (is_in(to, j) && lint->edges[i][j] < 2) {
                lint->edges[i][j]++;
            }
        }
    }
}

static struct fragment empty_fragment(void)
{
    return (struct fragment){.nullable = true};
}

/* A fragment that is one byte of the set. */
static struct fragment one_byte(struct lint *lint, const struct byteset *set)
{
    struct fragment out = {.nullable = false};

    if (!lint->collects) {
        return out;
    }
    if (lint->count == MAX_POSITIONS) {
        lint->gave_up = true;
        return out;
    }
    unsigned position = lint->count++;

    lint->sets[position] = *set;
    byteset_fold(&lint->sets[position]);
    out.first.words[position / 64] |= (uint64_t)1 << (position % 64);
    out.last = out.first;
    return out;
}

static void append(struct lint *lint, struct fragment *out, const struct fragment *next)
{
    connect(lint, &out->last, &next->first);
    if (out->nullable) {
        add_all(&out->first, &next->first);
    }
    if (next->nullable) {
        add_all(&out->last, &next->last);
    } else {
        out->last = next->last;
    }
    out->nullable = out->nullable && next->nullable;
}

/* What is matched as a whole and never taken apart again: one position of all that it can hold, which repeats itself. */
static void make_atomic(struct lint *lint, unsigned from, struct fragment *out)
{
    struct byteset all = {{0}};

    if (!lint->collects || from >= lint->count) {
        return;
    }
    for (unsigned i = from; i < lint->count; i++) {
        byteset_add_all(&all, &lint->sets[i]);
        memset(lint->edges[i], 0, sizeof(lint->edges[i]));
    }
    for (unsigned i = 0; i < lint->count; i++) {
        memset(lint->edges[i] + from, 0, lint->count - from);
    }
    lint->count = from;
    bool nullable = out->nullable;

    *out = one_byte(lint, &all);
    out->nullable = nullable;
}

/* ---- the automaton of one repetition ---- */

/* The pairs of positions that the same text can reach from (or that it can lead to) a position paired with itself. */
static bool spread(struct lint *lint, enum direction direction)
{
    size_t begin = 0;
    size_t end = 0;
    size_t steps = 0;

    for (unsigned i = 0; i < lint->count; i++) {
        lint->seen[i][i] |= (unsigned char)direction;
        lint->queue[end++] = (uint16_t)(i * MAX_POSITIONS + i);
    }
    while (begin < end) {
        unsigned a = lint->queue[begin] / MAX_POSITIONS;
        unsigned b = lint->queue[begin++] % MAX_POSITIONS;

        for (unsigned i = 0; i < lint->count; i++) {
            if ((direction == FORWARD ? lint->edges[a][i] : lint->edges[i][a]) == 0) {
                continue;
            }
            for (unsigned j = 0; j < lint->count; j++) {
                if ((direction == FORWARD ? lint->edges[b][j] : lint->edges[j][b]) == 0 ||
                    (lint->seen[i][j] & direction) != 0 ||
                    !byteset_overlaps(&lint->sets[i], &lint->sets[j])) {
                    continue;
                }
                lint->seen[i][j] |= (unsigned char)direction;
                lint->queue[end++] = (uint16_t)(i * MAX_POSITIONS + j);
            }
            steps += lint->count;
            if (steps > MAX_STEPS) {
                return false;
            }
        }
    }
    return true;
}

static bool is_ambiguous(struct lint *lint)
{
    for (unsigned i = 0; i < lint->count; i++) {
        for (unsigned j = 0; j < lint->count; j++) {
            if (lint->edges[i][j] > 1) {
                return true;
            }
        }
        memset(lint->seen[i], 0, sizeof(lint->seen[i]));
    }
    if (!spread(lint, FORWARD) || !spread(lint, BACKWARD)) {
        return false;
    }
    for (unsigned i = 0; i < lint->count; i++) {
        for (unsigned j = 0; j < lint->count; j++) {
            if (i != j && lint->seen[i][j] == (FORWARD | BACKWARD)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- reading ---- */

static bool give_up(struct lint *lint)
{
    lint->gave_up = true;
    return false;
}

/* Behind a `(?` or `(`: what kind of group it is. False: gave up. */
static bool read_group_kind(struct lint *lint, bool *is_atomic, bool *is_assertion, bool *is_flags)
{
    const char *at = lint->at;

    *is_atomic = *is_assertion = *is_flags = false;
    if (at == lint->end || *at == '*') {
        return give_up(lint);
    }
    if (*at != '?') {
        return true;
    }
    at++;
    size_t left = (size_t)(lint->end - at);

    if (left == 0) {
        return give_up(lint);
    }
    if (strchr(":|>=!", *at) != NULL) {
        *is_atomic = *at == '>';
        *is_assertion = *at == '=' || *at == '!';
        lint->at = at + 1;
        return true;
    }
    if (*at == '<' && left > 1 && (at[1] == '=' || at[1] == '!')) {
        *is_assertion = true;
        lint->at = at + 2;
        return true;
    }
    if (*at == '<' || *at == '\'' || (*at == 'P' && left > 1 && at[1] == '<')) {
        const char *close = memchr(at + 2, *at == '\'' ? '\'' : '>', left - 2);

        lint->at = close == NULL ? lint->end : close + 1;
        return close != NULL || give_up(lint);
    }
    size_t letters = 0;

    while (letters < left && strchr("imsnUJ^-", at[letters]) != NULL && at[letters] != '\0') {
        letters++;
    }
    if (letters == left || (at[letters] != ':' && at[letters] != ')')) {
        return give_up(lint); /* calls, conditions, comments, (?x) */
    }
    *is_flags = at[letters] == ')';
    lint->at = at + letters + (*is_flags ? 0 : 1);
    return true;
}

static void parse_group(struct lint *lint, struct fragment *out)
{
    bool is_atomic;
    bool is_assertion;
    bool is_flags;
    unsigned from = lint->count;
    bool collects = lint->collects;

    *out = empty_fragment();
    if (!read_group_kind(lint, &is_atomic, &is_assertion, &is_flags)) {
        return;
    }
    if (++lint->depth > MAX_DEPTH) {
        (void)give_up(lint);
        return;
    }
    if (!is_flags) {
        lint->collects = collects && !is_assertion;
        parse_alternatives(lint, out);
        lint->collects = collects;
    }
    lint->depth--;
    if (lint->at == lint->end || *lint->at != ')') {
        (void)give_up(lint);
        return;
    }
    lint->at++;
    if (is_assertion) {
        *out = empty_fragment();
    } else if (is_atomic) {
        make_atomic(lint, from, out);
    }
}

/* Behind a backslash. */
static void parse_escape(struct lint *lint, struct fragment *out)
{
    struct byteset set = {{0}};

    if (lint->at == lint->end || strchr("QEcCKGkgN", *lint->at) != NULL) {
        (void)give_up(lint);
        return;
    }
    char c = *lint->at++;

    if (strchr("bBAzZ", c) != NULL) {
        return;
    }
    if (!isalnum((unsigned char)c)) {
        byteset_add(&set, (unsigned char)c);
    } else if (!byteset_add_escape(&set, c)) {
        byteset_add_range(&set, 0, 255);
        if (lint->at < lint->end && *lint->at == '{') {
            const char *close = memchr(lint->at, '}', (size_t)(lint->end - lint->at));

            lint->at = close == NULL ? lint->end : close + 1;
        } else if (c == 'x') {
            (void)give_up(lint);
        } else {
            while (isdigit((unsigned char)c) && lint->at < lint->end &&
                   isdigit((unsigned char)*lint->at)) {
                lint->at++;
            }
        }
    }
    *out = one_byte(lint, &set);
}

static void parse_atom(struct lint *lint, struct fragment *out)
{
    struct byteset set = {{0}};
    char c = *lint->at++;

    *out = empty_fragment();
    switch (c) {
    case '(':
        parse_group(lint, out);
        return;
    case '\\':
        parse_escape(lint, out);
        return;
    case '^':
    case '$':
        return;
    case '[': {
        const char *behind = byteset_read_class(lint->at, lint->end, &set);

        if (behind == NULL) {
            (void)give_up(lint);
            return;
        }
        lint->at = behind;
        break;
    }
    case '.':
        byteset_add_range(&set, 0, 255);
        break;
    default:
        byteset_add(&set, (unsigned char)c);
        break;
    }
    *out = one_byte(lint, &set);
}

/* A repetition, if there is one: its bounds, and whether it gives nothing back. */
struct repetition {
    unsigned least;
    unsigned most; /* MANY: no bound, or a large one */
    bool is_possessive;
};

/* The digits at *at, up to MANY. False: there are none. */
static bool read_number(const struct lint *lint, const char **at, unsigned *number_out)
{
    const char *begin = *at;

    *number_out = 0;
    for (; *at < lint->end && isdigit((unsigned char)**at); ++*at) {
        unsigned number = *number_out * 10 + (unsigned)(**at - '0');

        *number_out = number < MANY ? number : MANY;
    }
    return *at > begin;
}

static bool read_braces(struct lint *lint, struct repetition *repetition)
{
    const char *at = lint->at + 1;

    if (!read_number(lint, &at, &repetition->least)) {
        return false;
    }
    repetition->most = repetition->least;
    if (at < lint->end && *at == ',') {
        at++;
        if (!read_number(lint, &at, &repetition->most)) {
            repetition->most = MANY;
        }
    }
    if (at == lint->end || *at != '}') {
        return false;
    }
    lint->at = at + 1;
    return true;
}

static bool read_repetition(struct lint *lint, struct repetition *repetition)
{
    *repetition = (struct repetition){.most = MANY};
    if (lint->at >= lint->end) {
        return false;
    }
    switch (*lint->at) {
    case '*':
        lint->at++;
        break;
    case '+':
        repetition->least = 1;
        lint->at++;
        break;
    case '?':
        repetition->most = 1;
        lint->at++;
        break;
    case '{':
        if (!read_braces(lint, repetition)) {
            return false;
        }
        break;
    default:
        return false;
    }
    if (lint->at < lint->end && (*lint->at == '?' || *lint->at == '+')) {
        repetition->is_possessive = *lint->at++ == '+';
    }
    return true;
}

/* Makes the automaton of what stands from `begin` on, which is repeated, and looks at it. */
static void examine(struct lint *lint, const char *begin)
{
    const char *behind = lint->at;
    struct fragment body;

    for (unsigned i = 0; i < MAX_POSITIONS; i++) {
        memset(lint->edges[i], 0, sizeof(lint->edges[i]));
    }
    lint->count = 0;
    lint->collects = true;
    lint->at = begin;
    parse_atom(lint, &body);
    if (!lint->gave_up) {
        connect(lint, &body.last, &body.first);
        if (is_ambiguous(lint)) {
            lint->bad = begin;
            lint->bad_len = (size_t)(behind - begin);
        }
    }
    lint->collects = false;
    lint->count = 0;
    lint->at = behind;
}

static void parse_item(struct lint *lint, struct fragment *out)
{
    const char *begin = lint->at;
    unsigned from = lint->count;
    struct repetition repetition;

    parse_atom(lint, out);
    while (!lint->gave_up && lint->bad == NULL && read_repetition(lint, &repetition)) {
        bool repeats = repetition.most >= MANY;

        if (repeats && lint->collects) {
            connect(lint, &out->last, &out->first);
        } else if (repeats && !repetition.is_possessive && *begin == '(') {
            examine(lint, begin);
        }
        out->nullable = out->nullable || repetition.least == 0;
        if (repetition.is_possessive) {
            make_atomic(lint, from, out);
        }
    }
}

/* Blanks and comments of the flag x. */
static void skip_layout(struct lint *lint)
{
    while (lint->is_extended && lint->at < lint->end) {
        if (isspace((unsigned char)*lint->at)) {
            lint->at++;
        } else if (*lint->at == '#') {
            const char *newline = memchr(lint->at, '\n', (size_t)(lint->end - lint->at));

            lint->at = newline == NULL ? lint->end : newline + 1;
        } else {
            return;
        }
    }
}

static void parse_alternatives(struct lint *lint, struct fragment *out)
{
    struct fragment alternative = empty_fragment();
    bool is_first = true;

    *out = empty_fragment();
    for (;;) {
        skip_layout(lint);
        if (lint->gave_up || lint->bad != NULL) {
            return;
        }
        bool is_end = lint->at >= lint->end || *lint->at == ')';

        if (!is_end && *lint->at != '|') {
            struct fragment item;

            parse_item(lint, &item);
            append(lint, &alternative, &item);
            continue;
        }
        add_all(&out->first, &alternative.first);
        add_all(&out->last, &alternative.last);
        out->nullable = (!is_first && out->nullable) || alternative.nullable;
        is_first = false;
        alternative = empty_fragment();
        if (is_end) {
            return;
        }
        lint->at++;
    }
}

bool pattern_lint(const char *text, size_t len, unsigned flags, struct strbuf *why)
{
    struct lint *lint = xcalloc(1, sizeof(*lint));
    struct fragment all;

    lint->text = lint->at = text;
    lint->end = text + len;
    lint->is_extended = (flags & PATTERN_EXTENDED) != 0;
    parse_alternatives(lint, &all);
    bool is_bad = lint->bad != NULL;

    if (is_bad) {
        bool is_long = lint->bad_len > SHOWN_MAX;

        strbuf_appendf(why, "%.*s%s can match the same text in very many ways",
                       is_long ? SHOWN_MAX : (int)lint->bad_len, lint->bad, is_long ? "..." : "");
    }
    free(lint);
    return is_bad;
}
