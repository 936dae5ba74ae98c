/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/literal_index.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/table/gram_table.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>

#define GRAM 4u
#define SHORT_GRAM 3u
/* A multiple of the words, so that few of them share a counter. */
#define COUNTERS_OF_WORD 64u

struct literal {
    uint32_t text; /* in index->texts */
    uint32_t len;
    uint32_t uses; /* clauses that name it */
    uint32_t gram; /* where the gram that is looked for lies in it */
    uint32_t first_waiting, waiting;
};

/* A pattern. Its clauses lie one after another in index->clauses: a count, then so many numbers of literals. */
struct entry {
    uint32_t pattern;
    uint32_t prefix, prefix_len; /* in index->texts */
    uint32_t clauses, clause_count;
    uint32_t rarest; /* place of the clause that it waits for */
};

struct literal_index {
    struct strbuf texts;
    struct literal *literals;
    size_t literal_count;
    struct entry *entries;
    size_t entry_count;
    uint32_t *clauses;
    size_t clauses_used;
    uint32_t *waiting; /* numbers of entries, by literal */
    struct gram_table grams, short_grams;
    uint32_t *slots; /* literals by hash, number + 1; only while it is filled */
    size_t slot_count;
};

struct literal_index *literal_index_new(void)
{
    struct literal_index *index = xcalloc(1, sizeof(*index));

    strbuf_init(&index->texts);
    return index;
}

void literal_index_free(struct literal_index **index)
{
    if (*index == NULL) {
        return;
    }
    strbuf_fini(&(*index)->texts);
    free((*index)->literals);
    free((*index)->entries);
    free((*index)->clauses);
    free((*index)->waiting);
    free((*index)->slots);
    gram_table_fini(&(*index)->grams);
    gram_table_fini(&(*index)->short_grams);
    free(*index);
    *index = NULL;
}

/* ---- filling ---- */

/* Room for one more of `count` elements; memory grows in powers of two. */
static void *grown(void *memory, size_t count, size_t size)
{
    return (count & (count - 1)) == 0 ? xrealloc(memory, (count > 0 ? 2 * count : 1) * size)
                                      : memory;
}

static const char *text_of(const struct literal_index *index, const struct literal *literal)
{
    return index->texts.data + literal->text;
}

static size_t slot_of(const struct literal_index *index, const char *text, size_t len)
{
    size_t slot = (size_t)hash64(text, len, 0) & (index->slot_count - 1);

    while (index->slots[slot] != 0) {
        const struct literal *literal = &index->literals[index->slots[slot] - 1];

        if (literal->len == len && memcmp(text_of(index, literal), text, len) == 0) {
            break;
        }
        slot = (slot + 1) & (index->slot_count - 1);
    }
    return slot;
}

static void grow_slots(struct literal_index *index)
{
    if (index->literal_count * 2 < index->slot_count) {
        return;
    }
    index->slot_count = index->slot_count > 0 ? index->slot_count * 2 : 64;
    free(index->slots);
    index->slots = xcalloc(index->slot_count, sizeof(*index->slots));
    for (size_t i = 0; i < index->literal_count; i++) {
        const struct literal *literal = &index->literals[i];

        index->slots[slot_of(index, text_of(index, literal), literal->len)] = (uint32_t)i + 1;
    }
}

static uint32_t add_text(struct literal_index *index, const struct regex_word *word)
{
    size_t at = index->texts.len;

    strbuf_append_len(&index->texts, word->text, word->len);
    return (uint32_t)at;
}

/* The number of the word, which is new or known. */
static uint32_t add_literal(struct literal_index *index, const struct regex_word *word)
{
    grow_slots(index);
    size_t slot = slot_of(index, word->text, word->len);

    if (index->slots[slot] == 0) {
        index->literals = grown(index->literals, index->literal_count, sizeof(*index->literals));
        index->literals[index->literal_count++] = (struct literal){.text = add_text(index, word),
                                                                   .len = (uint32_t)word->len};
        index->slots[slot] = (uint32_t)index->literal_count;
    }
    index->literals[index->slots[slot] - 1].uses++;
    return index->slots[slot] - 1;
}

static void add_number(struct literal_index *index, uint32_t number)
{
    index->clauses = grown(index->clauses, index->clauses_used, sizeof(*index->clauses));
    index->clauses[index->clauses_used++] = number;
}

static void add_clause(struct literal_index *index, struct entry *entry,
                       const struct regex_clause *clause)
{
    add_number(index, (uint32_t)clause->count);
    for (size_t i = 0; i < clause->count; i++) {
        add_number(index, add_literal(index, &clause->words[i]));
    }
    entry->clause_count++;
}

bool literal_index_add(struct literal_index *index, uint32_t pattern,
                       const struct regex_needs *needs)
{
    struct entry entry = {.pattern = pattern,
                          .prefix_len = (uint32_t)needs->prefix.len,
                          .clauses = (uint32_t)index->clauses_used};

    if (needs->count == 0 && needs->prefix.len < REGEX_NEEDS_MIN_WORD) {
        return false;
    }
    entry.prefix = add_text(index, &needs->prefix);
    for (size_t i = 0; i < needs->count; i++) {
        add_clause(index, &entry, &needs->clauses[i]);
    }
    if (needs->count == 0) {
        add_clause(index, &entry, &(struct regex_clause){&needs->prefix, 1});
    }
    index->entries = grown(index->entries, index->entry_count, sizeof(*index->entries));
    index->entries[index->entry_count++] = entry;
    return true;
}

/* ---- finishing ---- */

/* How often the words of a clause will be seen for nothing: those that many patterns share, and short ones. */
static uint64_t cost_of(const struct literal_index *index, const uint32_t *clause)
{
    static const uint32_t cost_of_length[] = {400, 400, 400, 400, 60, 12, 4};
    uint64_t cost = 0;

    for (uint32_t i = 1; i <= clause[0]; i++) {
        const struct literal *literal = &index->literals[clause[i]];

        cost += literal->uses;
        cost += literal->len < sizeof(cost_of_length) / sizeof(cost_of_length[0])
                    ? cost_of_length[literal->len]
                    : 1;
    }
    return cost;
}

static void choose_rarest(const struct literal_index *index, struct entry *entry)
{
    uint32_t place = entry->clauses;
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < entry->clause_count; i++) {
        uint64_t cost = cost_of(index, &index->clauses[place]);

        if (cost < least) {
            least = cost;
            entry->rarest = place;
        }
        place += 1 + index->clauses[place];
    }
}

/* Which patterns wait for each literal. */
static void fill_waiting(struct literal_index *index)
{
    uint32_t total = 0;

    for (size_t i = 0; i < index->entry_count; i++) {
        choose_rarest(index, &index->entries[i]);
        const uint32_t *clause = &index->clauses[index->entries[i].rarest];

        for (uint32_t j = 1; j <= clause[0]; j++) {
            index->literals[clause[j]].waiting++;
        }
    }
    for (size_t i = 0; i < index->literal_count; i++) {
        index->literals[i].first_waiting = total;
        total += index->literals[i].waiting;
        index->literals[i].waiting = 0;
    }
    index->waiting = xcalloc((size_t)total + 1, sizeof(*index->waiting));
    for (size_t i = 0; i < index->entry_count; i++) {
        const uint32_t *clause = &index->clauses[index->entries[i].rarest];

        for (uint32_t j = 1; j <= clause[0]; j++) {
            struct literal *literal = &index->literals[clause[j]];

            index->waiting[literal->first_waiting + literal->waiting++] = (uint32_t)i;
        }
    }
}

/* How often grams occur in all words, roughly. */
struct gram_counts {
    uint32_t *counters;
    size_t mask;
};

static uint32_t *counter_of(const struct gram_counts *counts, const char *text)
{
    return &counts->counters[gram_read(text, GRAM) * UINT32_C(2654435761) >> 7 & counts->mask];
}

static void count_grams(const struct literal_index *index, struct gram_counts *counts)
{
    counts->mask = 1023;
    while (counts->mask < index->literal_count * COUNTERS_OF_WORD) {
        counts->mask = counts->mask * 2 + 1;
    }
    counts->counters = xcalloc(counts->mask + 1, sizeof(*counts->counters));
    for (size_t i = 0; i < index->literal_count; i++) {
        for (uint32_t at = 0; at + GRAM <= index->literals[i].len; at++) {
            (*counter_of(counts, text_of(index, &index->literals[i]) + at))++;
        }
    }
}

/* Each literal is looked for by the gram of it that is the rarest in the table. */
static void choose_grams(struct literal_index *index)
{
    struct gram *grams = xcalloc(index->literal_count + 1, sizeof(*grams));
    struct gram *short_grams = xcalloc(index->literal_count + 1, sizeof(*short_grams));
    size_t count = 0;
    size_t short_count = 0;
    struct gram_counts counts;

    count_grams(index, &counts);
    for (size_t i = 0; i < index->literal_count; i++) {
        struct literal *literal = &index->literals[i];
        const char *text = text_of(index, literal);

        if (literal->len < GRAM) {
            short_grams[short_count++] = (struct gram){gram_read(text, SHORT_GRAM), (uint32_t)i};
            continue;
        }
        for (uint32_t at = 1; at + GRAM <= literal->len; at++) {
            if (*counter_of(&counts, text + at) < *counter_of(&counts, text + literal->gram)) {
                literal->gram = at;
            }
        }
        grams[count++] = (struct gram){gram_read(text + literal->gram, GRAM), (uint32_t)i};
    }
    free(counts.counters);
    gram_table_init(&index->grams, GRAM, grams, count);
    gram_table_init(&index->short_grams, SHORT_GRAM, short_grams, short_count);
    free(grams);
    free(short_grams);
}

void literal_index_finish(struct literal_index *index)
{
    free(index->slots);
    index->slots = NULL;
    index->slot_count = 0;
    fill_waiting(index);
    choose_grams(index);
}

/* ---- scanning ---- */

void literal_scratch_init(struct literal_scratch *scratch, const struct literal_index *index)
{
    scratch->seen = xcalloc(index->literal_count / 64 + 1, sizeof(*scratch->seen));
    scratch->words = xcalloc(index->literal_count + 1, sizeof(*scratch->words));
    scratch->count = 0;
}

void literal_scratch_fini(struct literal_scratch *scratch)
{
    free(scratch->seen);
    free(scratch->words);
}

static bool is_seen(const struct literal_scratch *scratch, uint32_t literal)
{
    return (scratch->seen[literal / 64] >> literal % 64 & 1) != 0;
}

/* Marks the literals that lie around one place of the subject. */
static void see(const struct literal_index *index, const struct gram_hit *hit, const char *folded,
                size_t len, struct literal_scratch *scratch)
{
    for (const struct gram *gram = hit->first; gram < hit->end; gram++) {
        const struct literal *literal = &index->literals[gram->owner];

        if (gram->text != hit->text || is_seen(scratch, gram->owner) || hit->at < literal->gram ||
            hit->at - literal->gram + literal->len > len ||
            memcmp(folded + hit->at - literal->gram, text_of(index, literal), literal->len) != 0) {
            continue;
        }
        scratch->seen[gram->owner / 64] |= UINT64_C(1) << gram->owner % 64;
        scratch->words[scratch->count++] = gram->owner;
    }
}

static void see_all(const struct literal_index *index, const struct gram_table *table,
                    const char *folded, size_t len, struct literal_scratch *scratch)
{
    struct gram_hit hit = {.at = 0};

    if (table->count == 0) {
        return;
    }
    for (; gram_table_next(table, folded, len, &hit); hit.at++) {
        see(index, &hit, folded, len, scratch);
    }
}

/* Are the prefix there, and a word of each clause? */
static bool has_all(const struct literal_index *index, const struct entry *entry,
                    const char *folded, size_t len, const struct literal_scratch *scratch)
{
    const uint32_t *clause = &index->clauses[entry->clauses];

    if (entry->prefix_len > len ||
        memcmp(folded, index->texts.data + entry->prefix, entry->prefix_len) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < entry->clause_count; i++) {
        uint32_t word = 1;

        while (word <= clause[0] && !is_seen(scratch, clause[word])) {
            word++;
        }
        if (word > clause[0]) {
            return false;
        }
        clause += 1 + clause[0];
    }
    return true;
}

void literal_index_scan(const struct literal_index *index, const char *folded, size_t len,
                        struct literal_scratch *scratch, uint64_t *may_match)
{
    scratch->count = 0;
    see_all(index, &index->grams, folded, len, scratch);
    see_all(index, &index->short_grams, folded, len, scratch);
    for (size_t i = 0; i < scratch->count; i++) {
        const struct literal *literal = &index->literals[scratch->words[i]];

        for (uint32_t j = 0; j < literal->waiting; j++) {
            const struct entry *entry = &index->entries[index->waiting[literal->first_waiting + j]];

            if (has_all(index, entry, folded, len, scratch)) {
                may_match[entry->pattern / 64] |= UINT64_C(1) << entry->pattern % 64;
            }
        }
    }
    for (size_t i = 0; i < scratch->count; i++) {
        scratch->seen[scratch->words[i] / 64] = 0;
    }
}

size_t literal_index_bytes(const struct literal_index *index)
{
    return index->texts.size + index->literal_count * sizeof(*index->literals) +
           index->entry_count * sizeof(*index->entries) +
           index->clauses_used * sizeof(*index->clauses) + gram_table_bytes(&index->grams) +
           gram_table_bytes(&index->short_grams);
}
