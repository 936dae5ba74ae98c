/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/regex_needs.h"

#include <string.h>

/* A set of more bytes is not written out. */
#define MAX_SET_BYTES 8u
/* Longer words are hardly rarer. */
#define LONG_WORD 8u

struct words {
    struct regex_word *at;
    size_t count;
};

/* What is known of the texts that a node matches. */
struct part {
    bool exact; /* they are `words`, no others */
    struct words words;
    struct words head; /* not exact: each begins with one of these, and ends with one of those; */
    struct words tail; /* count 0: not known */
    struct regex_clause clauses[REGEX_NEEDS_MAX_CLAUSES];
    size_t count;
};

static void look_at(const struct regex_node *node, struct arena *arena, struct part *part);

/* ---- words ---- */

static struct words words_new(struct arena *arena, size_t count)
{
    return (struct words){arena_alloc(arena, (count + 1) * sizeof(struct regex_word)), 0};
}

static void words_add(struct words *words, const char *text, size_t len)
{
    words->at[words->count++] = (struct regex_word){text, len};
}

static struct words the_empty_word(struct arena *arena)
{
    struct words words = words_new(arena, 1);

    words_add(&words, "", 0);
    return words;
}

static bool words_have(const struct words *words, const struct regex_word *word)
{
    for (size_t i = 0; i < words->count; i++) {
        if (words->at[i].len == word->len &&
            memcmp(words->at[i].text, word->text, word->len) == 0) {
            return true;
        }
    }
    return false;
}

static size_t longest(const struct words *words)
{
    size_t len = 0;

    for (size_t i = 0; i < words->count; i++) {
        len = words->at[i].len > len ? words->at[i].len : len;
    }
    return len;
}

static size_t shortest(const struct regex_word *words, size_t count)
{
    size_t len = REGEX_NEEDS_MAX_WORD;

    for (size_t i = 0; i < count; i++) {
        len = words[i].len < len ? words[i].len : len;
    }
    return count > 0 ? len : 0;
}

/* Each word of `first` followed by each of `second`. False: too much. */
static bool words_join(struct arena *arena, const struct words *first, const struct words *second,
                       struct words *joined_out)
{
    if (first->count * second->count > REGEX_NEEDS_MAX_WORDS ||
        longest(first) + longest(second) > REGEX_NEEDS_MAX_WORD) {
        return false;
    }
    *joined_out = words_new(arena, first->count * second->count);
    for (size_t i = 0; i < first->count; i++) {
        for (size_t j = 0; j < second->count; j++) {
            size_t len = first->at[i].len + second->at[j].len;
            char *text = arena_alloc(arena, len + 1);

            memcpy(text, first->at[i].text, first->at[i].len);
            memcpy(text + first->at[i].len, second->at[j].text, second->at[j].len);
            words_add(joined_out, text, len);
        }
    }
    return true;
}

/* Adds what `words` does not have yet. False: there would be more than `limit`, for which there is room. */
static bool words_unite(struct words *words, const struct regex_word *more, size_t count,
                        size_t limit)
{
    for (size_t i = 0; i < count; i++) {
        if (words_have(words, &more[i])) {
            continue;
        }
        if (words->count == limit) {
            return false;
        }
        words_add(words, more[i].text, more[i].len);
    }
    return true;
}

/* ---- clauses ---- */

/* How much a clause is worth: long words first, then few. */
static size_t worth(const struct regex_clause *clause)
{
    size_t len = shortest(clause->words, clause->count);

    return (len < LONG_WORD ? len : LONG_WORD) * (REGEX_NEEDS_MAX_CHOICES + 1) +
           REGEX_NEEDS_MAX_CHOICES - clause->count;
}

/* Adds a clause if its words are long enough, in place of the worst if there are too many. */
static void add_clause(struct part *part, const struct regex_clause *clause)
{
    size_t worst = 0;

    if (shortest(clause->words, clause->count) < REGEX_NEEDS_MIN_WORD) {
        return;
    }
    if (part->count < REGEX_NEEDS_MAX_CLAUSES) {
        part->clauses[part->count++] = *clause;
        return;
    }
    for (size_t i = 1; i < part->count; i++) {
        worst = worth(&part->clauses[i]) < worth(&part->clauses[worst]) ? i : worst;
    }
    if (worth(clause) > worth(&part->clauses[worst])) {
        part->clauses[worst] = *clause;
    }
}

static void add_words_as_clause(struct part *part, const struct words *words)
{
    add_clause(part, &(struct regex_clause){words->at, words->count});
}

/* The best clause of a part, exact or not. False: there is none. */
static bool best_clause(const struct part *part, struct regex_clause *clause_out)
{
    if (part->exact) {
        *clause_out = (struct regex_clause){part->words.at, part->words.count};
        return shortest(part->words.at, part->words.count) >= REGEX_NEEDS_MIN_WORD;
    }
    for (size_t i = 0; i < part->count; i++) {
        if (i == 0 || worth(&part->clauses[i]) > worth(clause_out)) {
            *clause_out = part->clauses[i];
        }
    }
    return part->count > 0;
}

/* ---- nodes ---- */

static void look_at_set(const struct regex_node *node, struct arena *arena, struct part *part)
{
    char bytes[MAX_SET_BYTES];
    size_t count = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        /* Nearly all sets are letters of a word. */
        if (byte % 8 == 0 && node->set[byte / 8] == 0) {
            byte += 7;
            continue;
        }
        if (!regex_node_has_byte(node, (unsigned char)byte)) {
            continue;
        }
        if (count == MAX_SET_BYTES) {
            return;
        }
        bytes[count++] = (char)byte;
    }
    part->exact = true;
    part->words = words_new(arena, count);
    for (size_t i = 0; i < count; i++) {
        words_add(&part->words, arena_strndup(arena, &bytes[i], 1), 1);
    }
}

/* A sequence while it is read: what came last, as far as its text is known without a gap. */
struct run {
    struct arena *arena;
    struct part *part; /* the sequence */
    struct words text;
    bool whole; /* `text` is all of the sequence so far */
};

/* What comes next does not join on. */
static void run_break(struct run *run)
{
    if (run->whole) {
        run->part->head = run->text;
        run->whole = false;
    }
    add_words_as_clause(run->part, &run->text);
}

static void run_add(struct run *run, const struct words *words)
{
    struct words joined;

    if (words_join(run->arena, &run->text, words, &joined)) {
        run->text = joined;
    } else {
        run_break(run);
        run->text = *words;
    }
}

static void run_add_part(struct run *run, const struct part *part)
{
    if (part->exact) {
        run_add(run, &part->words);
        return;
    }
    if (part->head.count > 0) {
        run_add(run, &part->head);
    }
    run_break(run);
    for (size_t i = 0; i < part->count; i++) {
        add_clause(run->part, &part->clauses[i]);
    }
    run->text = part->tail.count > 0 ? part->tail : the_empty_word(run->arena);
}

static void look_at_sequence(const struct regex_node *node, struct arena *arena, struct part *part)
{
    struct run run = {arena, part, the_empty_word(arena), true};

    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        struct part next;

        look_at(child, arena, &next);
        run_add_part(&run, &next);
    }
    if (run.whole) {
        part->exact = true;
        part->words = run.text;
        return;
    }
    run_break(&run);
    part->tail = run.text;
}

/* What the branches of a choice have given so far. */
struct branches {
    struct words words, heads, tails, choices;
    bool exact, have_heads, have_tails, have_choices;
};

static void add_branch(struct branches *all, const struct part *branch)
{
    const struct words *head = branch->exact ? &branch->words : &branch->head;
    const struct words *tail = branch->exact ? &branch->words : &branch->tail;
    struct regex_clause best;

    all->exact = all->exact && branch->exact &&
                 words_unite(&all->words, branch->words.at, branch->words.count,
                             REGEX_NEEDS_MAX_WORDS);
    all->have_heads = all->have_heads && head->count > 0 &&
                      words_unite(&all->heads, head->at, head->count, REGEX_NEEDS_MAX_WORDS);
    all->have_tails = all->have_tails && tail->count > 0 &&
                      words_unite(&all->tails, tail->at, tail->count, REGEX_NEEDS_MAX_WORDS);
    all->have_choices = all->have_choices && best_clause(branch, &best) &&
                        words_unite(&all->choices, best.words, best.count, REGEX_NEEDS_MAX_CHOICES);
}

static void look_at_choice(const struct regex_node *node, struct arena *arena, struct part *part)
{
    struct branches all = {words_new(arena, REGEX_NEEDS_MAX_WORDS),
                           words_new(arena, REGEX_NEEDS_MAX_WORDS),
                           words_new(arena, REGEX_NEEDS_MAX_WORDS),
                           words_new(arena, REGEX_NEEDS_MAX_CHOICES),
                           true,
                           true,
                           true,
                           true};

    if (node->first != NULL && node->first->next == NULL) {
        look_at(node->first, arena, part);
        return;
    }
    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        struct part branch;

        look_at(child, arena, &branch);
        add_branch(&all, &branch);
    }
    part->exact = all.exact;
    part->words = all.words;
    part->head = all.have_heads ? all.heads : (struct words){NULL, 0};
    part->tail = all.have_tails ? all.tails : (struct words){NULL, 0};
    if (!all.exact && all.have_choices) {
        add_words_as_clause(part, &all.choices);
    }
}

/* At least once, and the child's texts are known: the first and the last of them lie side by side, as far as there is room. */
static void repeat_exact(const struct regex_node *node, const struct words *words,
                         struct arena *arena, struct part *part)
{
    struct words text = *words;
    struct words longer;
    unsigned times = 1;

    while (times < node->least && words_join(arena, &text, words, &longer)) {
        text = longer;
        times++;
    }
    if (times == node->least && times == node->most) {
        part->exact = true;
        part->words = text;
        return;
    }
    part->head = part->tail = text;
    add_words_as_clause(part, &text);
}

static void look_at_repeat(const struct regex_node *node, struct arena *arena, struct part *part)
{
    struct part child;

    look_at(node->first, arena, &child);
    if (node->least > 0 && child.exact) {
        repeat_exact(node, &child.words, arena, part);
    } else if (node->least > 0) {
        *part = child;
    } else if (node->most == 1 && child.exact && child.words.count < REGEX_NEEDS_MAX_WORDS) {
        part->exact = true;
        part->words = words_new(arena, child.words.count + 1);
        words_add(&part->words, "", 0);
        (void)words_unite(&part->words, child.words.at, child.words.count, REGEX_NEEDS_MAX_WORDS);
    }
}

static void look_at(const struct regex_node *node, struct arena *arena, struct part *part)
{
    *part = (struct part){.exact = false};
    switch (node->kind) {
    case REGEX_NODE_SET:
        look_at_set(node, arena, part);
        break;
    case REGEX_NODE_ANYTHING:
        break;
    case REGEX_NODE_START:
        part->exact = true;
        part->words = the_empty_word(arena);
        break;
    case REGEX_NODE_SEQUENCE:
        look_at_sequence(node, arena, part);
        break;
    case REGEX_NODE_CHOICE:
        look_at_choice(node, arena, part);
        break;
    case REGEX_NODE_REPEAT:
        look_at_repeat(node, arena, part);
        break;
    }
}

/* Does each match begin where the subject begins? */
static bool is_anchored(const struct regex_node *node)
{
    if (node->kind == REGEX_NODE_START) {
        return true;
    }
    if (node->kind == REGEX_NODE_SEQUENCE) {
        const struct regex_node *child = node->first;

        /* Assertions that became nothing. */
        while (child != NULL && child->kind == REGEX_NODE_SEQUENCE && child->first == NULL) {
            child = child->next;
        }
        return child != NULL && is_anchored(child);
    }
    if (node->kind == REGEX_NODE_CHOICE) {
        for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
            if (!is_anchored(child)) {
                return false;
            }
        }
        return true;
    }
    return false;
}

/* A word that holds another one of its clause adds nothing. */
static bool is_superfluous(const struct regex_clause *clause, size_t index)
{
    const struct regex_word *word = &clause->words[index];

    for (size_t i = 0; i < clause->count; i++) {
        const struct regex_word *other = &clause->words[i];

        if (i != index && (other->len < word->len || (other->len == word->len && i < index)) &&
            memmem(word->text, word->len, other->text, other->len) != NULL) {
            return true;
        }
    }
    return false;
}

static struct regex_clause reduced(const struct regex_clause *clause, struct arena *arena)
{
    struct words kept = words_new(arena, clause->count);

    for (size_t i = 0; i < clause->count; i++) {
        if (!is_superfluous(clause, i)) {
            words_add(&kept, clause->words[i].text, clause->words[i].len);
        }
    }
    return (struct regex_clause){kept.at, kept.count};
}

/* Does the clause say no more than the beginnings do? */
static bool is_in_prefixes(const struct regex_clause *clause, const struct regex_clause *prefixes)
{
    for (size_t i = 0; i < prefixes->count; i++) {
        const struct regex_word *prefix = &prefixes->words[i];
        size_t j = 0;

        while (j < clause->count && memmem(prefix->text, prefix->len, clause->words[j].text,
                                           clause->words[j].len) == NULL) {
            j++;
        }
        if (j == clause->count) {
            return false;
        }
    }
    return prefixes->count > 0;
}

void regex_needs_find(const struct regex_node *tree, struct arena *arena,
                      struct regex_needs *needs_out)
{
    struct part part;

    look_at(tree, arena, &part);
    const struct words *head = part.exact ? &part.words : &part.head;

    *needs_out = (struct regex_needs){.count = 0};
    if (part.exact) {
        add_words_as_clause(&part, &part.words);
    }
    if (is_anchored(tree) && shortest(head->at, head->count) > 0) {
        needs_out->prefixes = (struct regex_clause){head->at, head->count};
    }
    for (size_t i = 0; i < part.count; i++) {
        if (!is_in_prefixes(&part.clauses[i], &needs_out->prefixes)) {
            needs_out->clauses[needs_out->count++] = reduced(&part.clauses[i], arena);
        }
    }
}
