/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/pattern_lint.h"

#include "lib/base/arena.h"
#include "lib/base/xalloc.h"
#include "lib/table/regex_tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each outermost repetition becomes the automaton of its positions: which byte can follow which. It takes exponential time if some text leads
 * from a position back to itself in two ways: by an edge that two repetitions made, or by two paths that part and meet again.
 */
#define MAX_POSITIONS 192u
#define MAX_STEPS 20000000u
/* A repetition with a bound is as good as one without from here on. */
#define MANY 10u
#define SHOWN_MAX 60
#define SET_SIZE 32u

struct positions {
    uint64_t words[MAX_POSITIONS / 64];
};

/* A part of a pattern: at which positions it can begin and end. */
struct fragment {
    bool nullable;
    struct positions first;
    struct positions last;
};

struct lint {
    bool parts_and_meets; /* two ways were found at once */
    bool is_full;         /* there are more positions than fit: nothing is known */
    unsigned count;
    unsigned char sets[MAX_POSITIONS][SET_SIZE];
    unsigned char edges[MAX_POSITIONS][MAX_POSITIONS]; /* number of ways, up to 2 */
    unsigned char seen[MAX_POSITIONS][MAX_POSITIONS];  /* enum direction */
    uint16_t queue[MAX_POSITIONS * MAX_POSITIONS];
};

enum direction { FORWARD = 1, BACKWARD = 2 };

static struct fragment build(struct lint *lint, const struct regex_node *node);

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
    for (unsigned i = 0; i < lint->count; i++) {
        for (unsigned j = 0; is_in(from, i) && j < lint->count; j++) {
            if (is_in(to, j) && lint->edges[i][j] < 2) {
                lint->edges[i][j]++;
            }
        }
    }
}

/* A fragment that is one byte of the set. */
static struct fragment one_byte(struct lint *lint, const unsigned char *set)
{
    struct fragment out = {.nullable = false};

    if (lint->count == MAX_POSITIONS) {
        lint->is_full = true;
        return out;
    }
    unsigned position = lint->count++;

    memcpy(lint->sets[position], set, SET_SIZE);
    memset(lint->edges[position], 0, sizeof(lint->edges[position]));
    for (unsigned i = 0; i < position; i++) {
        lint->edges[i][position] = 0;
    }
    out.first.words[position / 64] = (uint64_t)1 << (position % 64);
    out.last = out.first;
    return out;
}

static struct fragment any_byte(struct lint *lint)
{
    unsigned char all[SET_SIZE];

    memset(all, 0xff, sizeof(all));
    return one_byte(lint, all);
}

static struct fragment build_sequence(struct lint *lint, const struct regex_node *node)
{
    struct fragment out = {.nullable = true};

    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        struct fragment next = build(lint, child);

        connect(lint, &out.last, &next.first);
        if (out.nullable) {
            add_all(&out.first, &next.first);
        }
        if (next.nullable) {
            add_all(&out.last, &next.last);
        } else {
            out.last = next.last;
        }
        out.nullable = out.nullable && next.nullable;
    }
    return out;
}

static struct fragment build_choice(struct lint *lint, const struct regex_node *node)
{
    struct fragment out = {.nullable = false};

    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        struct fragment branch = build(lint, child);

        add_all(&out.first, &branch.first);
        add_all(&out.last, &branch.last);
        out.nullable = out.nullable || branch.nullable;
    }
    return out;
}

static bool is_loop(const struct regex_node *node)
{
    return node->kind == REGEX_NODE_REPEAT && node->most >= MANY;
}

/* What is matched as a whole and never taken apart again: one position of all bytes that it can hold. */
static struct fragment as_one(struct lint *lint, unsigned from, bool nullable)
{
    unsigned char all[SET_SIZE] = {0};

    for (unsigned i = from; i < lint->count; i++) {
        for (size_t j = 0; j < SET_SIZE; j++) {
            all[j] |= lint->sets[i][j];
        }
    }
    bool is_empty = from == lint->count;

    lint->count = from;
    struct fragment out = is_empty ? (struct fragment){.nullable = true} : one_byte(lint, all);

    out.nullable = nullable;
    return out;
}

static struct fragment build(struct lint *lint, const struct regex_node *node)
{
    unsigned from = lint->count;
    struct fragment out = {.nullable = true};

    switch (node->kind) {
    case REGEX_NODE_SET:
        return one_byte(lint, node->set);
    case REGEX_NODE_ANYTHING:
        out = any_byte(lint);
        out.nullable = true;
        return out;
    case REGEX_NODE_START:
        return out;
    case REGEX_NODE_SEQUENCE:
        out = build_sequence(lint, node);
        break;
    case REGEX_NODE_CHOICE:
        out = build_choice(lint, node);
        break;
    case REGEX_NODE_REPEAT:
        out = build(lint, node->first);
        if (is_loop(node)) {
            connect(lint, &out.last, &out.first);
        }
        out.nullable = out.nullable || node->least == 0;
        break;
    }
    return node->atomic ? as_one(lint, from, out.nullable) : out;
}

/* ---- the automaton of one repetition ---- */

/* Of bytes beyond ASCII the tree only knows that there may be some. */
static bool overlap(const struct lint *lint, unsigned a, unsigned b)
{
    for (size_t i = 0; i < SET_SIZE / 2; i++) {
        if ((lint->sets[a][i] & lint->sets[b][i]) != 0) {
            return true;
        }
    }
    return false;
}

static bool has_edge(const struct lint *lint, enum direction direction, unsigned from, unsigned to)
{
    return (direction == FORWARD ? lint->edges[from][to] : lint->edges[to][from]) != 0;
}

/* Can one more byte bring both to the same position? */
static bool meet(const struct lint *lint, unsigned a, unsigned b)
{
    for (unsigned i = 0; i < lint->count; i++) {
        if (lint->edges[a][i] != 0 && lint->edges[b][i] != 0) {
            return true;
        }
    }
    return false;
}

/* Goes on from the pair a, b. Returns the new end of the queue. */
static size_t spread_pair(struct lint *lint, enum direction direction, unsigned a, unsigned b,
                          size_t end)
{
    for (unsigned i = 0; i < lint->count; i++) {
        for (unsigned j = 0; has_edge(lint, direction, a, i) && j < lint->count; j++) {
            if (has_edge(lint, direction, b, j) && (lint->seen[i][j] & direction) == 0 &&
                overlap(lint, i, j)) {
                lint->seen[i][j] |= (unsigned char)direction;
                lint->queue[end++] = (uint16_t)(i * MAX_POSITIONS + j);
                lint->parts_and_meets |= i != j && meet(lint, i, j);
            }
        }
    }
    return end;
}

/*
 * Marks the pairs of positions that one text can lead to, from any position paired with itself (or back to one). False: that took
 * too long.
 */
static bool spread(struct lint *lint, enum direction direction)
{
    size_t begin = 0;
    size_t end = 0;

    for (unsigned i = 0; i < lint->count; i++) {
        lint->seen[i][i] |= (unsigned char)direction;
        lint->queue[end++] = (uint16_t)(i * MAX_POSITIONS + i);
    }
    while (begin < end) {
        unsigned pair = lint->queue[begin++];

        end = spread_pair(lint, direction, pair / MAX_POSITIONS, pair % MAX_POSITIONS, end);
        if (lint->parts_and_meets) {
            return true;
        }
        if (begin * lint->count * lint->count > MAX_STEPS) {
            return false;
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
    lint->parts_and_meets = false;
    if (!spread(lint, FORWARD)) {
        return false;
    }
    if (lint->parts_and_meets || !spread(lint, BACKWARD)) {
        return lint->parts_and_meets;
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

/* ---- all repetitions ---- */

/* The innermost repetition that may explode; NULL: there is none. */
static const struct regex_node *find_bad(struct lint *lint, const struct regex_node *node)
{
    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        const struct regex_node *bad = find_bad(lint, child);

        if (bad != NULL) {
            /* Repetitions right behind one another, a{2}+, stand at one place. */
            return bad->end == 0 ? node : bad;
        }
    }
    if (!is_loop(node) || node->atomic || node->first->kind == REGEX_NODE_SET) {
        return NULL;
    }
    lint->count = 0;
    lint->is_full = false;
    (void)build(lint, node);
    return !lint->is_full && is_ambiguous(lint) ? node : NULL;
}

bool pattern_lint(const char *text, size_t len, unsigned flags, struct strbuf *why)
{
    struct arena *arena = arena_new();
    struct lint *lint = xcalloc(1, sizeof(*lint));
    const struct regex_node *tree = regex_tree_parse(text, len, flags, arena);
    const struct regex_node *bad = tree == NULL ? NULL : find_bad(lint, tree);

    if (bad != NULL) {
        size_t bad_len = bad->end - bad->begin;
        bool is_long = bad_len > SHOWN_MAX;

        strbuf_append_len(why, text + bad->begin, is_long ? SHOWN_MAX : bad_len);
        strbuf_append(why, is_long ? "..." : "");
        strbuf_append(why, " can match the same text in very many ways");
    }
    free(lint);
    arena_free(&arena);
    return bad != NULL;
}
