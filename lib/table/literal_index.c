/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/literal_index.h"

#include "lib/base/xalloc.h"
#include "lib/table/gram_table.h"
#include "lib/table/word_store.h"

#include <stdlib.h>
#include <string.h>

/* In longer subjects a word that no pattern waits for is not looked for: PCRE2 is asked then. */
#define LONG_SUBJECT 2048u
#define GRAM 4u
#define SHORT_GRAM 3u
/* A multiple of the words, so that few of them share a counter. */
#define COUNTERS_OF_WORD 64u

/* A word of the store, by the same number. */
struct literal {
    uint32_t len;
    uint32_t uses; /* clauses that name it */
    uint32_t gram; /* where the gram that is looked for lies in it */
    uint32_t first_waiting, waiting;
};

/*
 * A pattern. Its clauses lie one after another in index->clauses: a count, then so many numbers of literals. That of its
 * prefixes is of the same form, and may be empty.
 */
struct entry {
    uint32_t pattern;
    uint32_t prefixes;
    uint32_t clauses, clause_count;
    uint32_t rarest; /* place of the clause that it waits for */
};

/* An entry that waits for a literal. */
struct waiting {
    uint32_t entry;
    uint32_t prefix; /* its first bytes, or 0: most subjects begin with something else */
};

struct literal_index {
    struct word_store words;
    struct literal *literals;
    struct entry *entries;
    size_t entry_count;
    uint32_t *clauses;
    size_t clauses_used;
    struct waiting *waiting; /* by literal */
    struct gram_table grams, short_grams;
};

struct literal_index *literal_index_new(void)
{
    struct literal_index *index = xcalloc(1, sizeof(*index));

    word_store_init(&index->words);
    return index;
}

void literal_index_free(struct literal_index **index)
{
    if (*index == NULL) {
        return;
    }
    word_store_fini(&(*index)->words);
    free((*index)->literals);
    free((*index)->entries);
    free((*index)->clauses);
    free((*index)->waiting);
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

static const char *text_of(const struct literal_index *index, uint32_t literal)
{
    return word_store_text(&index->words, literal);
}

static uint32_t add_literal(struct literal_index *index, const struct regex_word *word)
{
    size_t before = index->words.count;
    uint32_t literal = word_store_add(&index->words, word->text, word->len);

    if (literal == before) {
        index->literals = grown(index->literals, before, sizeof(*index->literals));
        index->literals[literal] = (struct literal){.len = (uint32_t)word->len};
    }
    index->literals[literal].uses++;
    return literal;
}

static void add_number(struct literal_index *index, uint32_t number)
{
    index->clauses = grown(index->clauses, index->clauses_used, sizeof(*index->clauses));
    index->clauses[index->clauses_used++] = number;
}

static void add_clause(struct literal_index *index, const struct regex_clause *clause)
{
    add_number(index, (uint32_t)clause->count);
    for (size_t i = 0; i < clause->count; i++) {
        add_number(index, add_literal(index, &clause->words[i]));
    }
}

static bool can_be_looked_for(const struct regex_clause *clause)
{
    for (size_t i = 0; i < clause->count; i++) {
        if (clause->words[i].len < REGEX_NEEDS_MIN_WORD) {
            return false;
        }
    }
    return clause->count > 0;
}

bool literal_index_add(struct literal_index *index, uint32_t pattern,
                       const struct regex_needs *needs)
{
    struct entry entry = {.pattern = pattern,
                          .prefixes = (uint32_t)index->clauses_used,
                          .clause_count = (uint32_t)needs->count};

    if (needs->count == 0 && !can_be_looked_for(&needs->prefixes)) {
        return false;
    }
    add_clause(index, &needs->prefixes);
    entry.clauses = (uint32_t)index->clauses_used;
    for (size_t i = 0; i < needs->count; i++) {
        add_clause(index, &needs->clauses[i]);
    }
    if (needs->count == 0) {
        entry.clauses = entry.prefixes;
        entry.clause_count = 1;
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

/* The first bytes that all prefixes share; 0: they are too short, or not the same. */
static uint32_t prefix_of(const struct literal_index *index, const struct entry *entry)
{
    const uint32_t *prefixes = &index->clauses[entry->prefixes];
    uint32_t common = 0;

    for (uint32_t i = 1; i <= prefixes[0]; i++) {
        const struct literal *literal = &index->literals[prefixes[i]];
        uint32_t first = literal->len < GRAM ? 0 : gram_read(text_of(index, prefixes[i]), GRAM);

        if (first == 0 || (i > 1 && first != common)) {
            return 0;
        }
        common = first;
    }
    return common;
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
    for (size_t i = 0; i < index->words.count; i++) {
        index->literals[i].first_waiting = total;
        total += index->literals[i].waiting;
        index->literals[i].waiting = 0;
    }
    index->waiting = xcalloc((size_t)total + 1, sizeof(*index->waiting));
    for (size_t i = 0; i < index->entry_count; i++) {
        const uint32_t *clause = &index->clauses[index->entries[i].rarest];

        for (uint32_t j = 1; j <= clause[0]; j++) {
            struct literal *literal = &index->literals[clause[j]];

            index->waiting[literal->first_waiting + literal->waiting++] = (struct waiting){
                (uint32_t)i, prefix_of(index, &index->entries[i])};
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
    while (counts->mask < index->words.count * COUNTERS_OF_WORD) {
        counts->mask = counts->mask * 2 + 1;
    }
    counts->counters = xcalloc(counts->mask + 1, sizeof(*counts->counters));
    for (size_t i = 0; i < index->words.count; i++) {
        for (uint32_t at = 0; at + GRAM <= index->literals[i].len; at++) {
            (*counter_of(counts, text_of(index, (uint32_t)i) + at))++;
        }
    }
}

/* Each literal that patterns wait for is looked for by the gram of it that is the rarest in the table. */
static void choose_grams(struct literal_index *index)
{
    struct gram *grams = xcalloc(index->words.count + 1, sizeof(*grams));
    struct gram *short_grams = xcalloc(index->words.count + 1, sizeof(*short_grams));
    size_t count = 0;
    size_t short_count = 0;
    struct gram_counts counts;

    count_grams(index, &counts);
    for (size_t i = 0; i < index->words.count; i++) {
        struct literal *literal = &index->literals[i];
        const char *text = text_of(index, (uint32_t)i);

        for (uint32_t at = 1; at + GRAM <= literal->len; at++) {
            if (*counter_of(&counts, text + at) < *counter_of(&counts, text + literal->gram)) {
                literal->gram = at;
            }
        }
        if (literal->waiting > 0 && literal->len < GRAM) {
            short_grams[short_count++] = (struct gram){gram_read(text, SHORT_GRAM), (uint32_t)i};
        } else if (literal->waiting > 0) {
            grams[count++] = (struct gram){gram_read(text + literal->gram, GRAM), (uint32_t)i};
        }
    }
    free(counts.counters);
    gram_table_init(&index->grams, GRAM, grams, count);
    gram_table_init(&index->short_grams, SHORT_GRAM, short_grams, short_count);
    free(grams);
    free(short_grams);
}

void literal_index_finish(struct literal_index *index)
{
    word_store_close(&index->words);
    fill_waiting(index);
    choose_grams(index);
}

static int compare_entry(const void *key, const void *member)
{
    uint32_t pattern = *(const uint32_t *)key;
    const struct entry *entry = member;

    return (pattern > entry->pattern) - (pattern < entry->pattern);
}

size_t literal_index_crowd(const struct literal_index *index, uint32_t pattern)
{
    const struct entry *entry = NULL;
    size_t crowd = 0;

    if (index->entry_count > 0) {
        entry = bsearch(&pattern, index->entries, index->entry_count, sizeof(*index->entries),
                        compare_entry);
    }

    if (entry != NULL) {
        const uint32_t *clause = &index->clauses[entry->rarest];

        for (uint32_t i = 1; i <= clause[0]; i++) {
            crowd += index->literals[clause[i]].waiting;
        }
    }
    return crowd;
}

size_t literal_index_words(const struct literal_index *index)
{
    return index->words.count;
}

/* ---- scanning ---- */

void literal_scratch_init(struct literal_scratch *scratch, const struct literal_index *index)
{
    scratch->seen = xcalloc(index->words.count / 64 + 1, sizeof(*scratch->seen));
    scratch->words = xcalloc(index->words.count + 1, sizeof(*scratch->words));
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
static void see(const struct literal_index *index, const struct gram_table *table, size_t at,
                const char *folded, size_t len, struct literal_scratch *scratch)
{
    uint32_t text = gram_read(folded + at, table->width);
    const struct gram *end;

    for (const struct gram *gram = gram_table_find(table, text, &end); gram < end; gram++) {
        const struct literal *literal = &index->literals[gram->owner];

        if (gram->text != text || is_seen(scratch, gram->owner) || at < literal->gram ||
            at - literal->gram + literal->len > len ||
            memcmp(folded + at - literal->gram, text_of(index, gram->owner), literal->len) != 0) {
            continue;
        }
        scratch->seen[gram->owner / 64] |= UINT64_C(1) << gram->owner % 64;
        scratch->words[scratch->count++] = gram->owner;
    }
}

static void see_all(const struct literal_index *index, const struct gram_table *table,
                    const char *folded, size_t len, struct literal_scratch *scratch)
{
    uint32_t places[GRAM_TABLE_BLOCK];
    size_t at = 0;

    while (table->count > 0 && at < len) {
        size_t count = gram_table_look(table, folded, len, &at, places);

        for (size_t i = 0; i < count; i++) {
            see(index, table, places[i], folded, len, scratch);
        }
    }
}

/* Is the word there, which nobody waits for? Inlined for each width of a gram. */
static inline bool find_literal(const struct literal *literal, const char *text, const char *folded,
                                size_t len, unsigned width)
{
    uint32_t gram = gram_read(text + literal->gram, width);

    for (size_t at = 0; at + literal->len <= len; at++) {
        if (gram_read(folded + at + literal->gram, width) == gram &&
            memcmp(folded + at, text, literal->len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_inside(const struct literal_index *index, uint32_t number, const char *folded,
                      size_t len)
{
    const struct literal *literal = &index->literals[number];
    const char *text = text_of(index, number);

    return literal->len < GRAM ? find_literal(literal, text, folded, len, SHORT_GRAM)
                               : find_literal(literal, text, folded, len, GRAM);
}

static bool has_word(const struct literal_index *index, uint32_t number, const char *folded,
                     size_t len, const struct literal_scratch *scratch)
{
    const struct literal *literal = &index->literals[number];

    return literal->waiting > 0 ? is_seen(scratch, number)
                                : len > LONG_SUBJECT || is_inside(index, number, folded, len);
}

static bool has_prefix(const struct literal_index *index, const uint32_t *prefixes,
                       const char *folded, size_t len)
{
    for (uint32_t i = 1; i <= prefixes[0]; i++) {
        const struct literal *literal = &index->literals[prefixes[i]];

        if (literal->len <= len && memcmp(folded, text_of(index, prefixes[i]), literal->len) == 0) {
            return true;
        }
    }
    return prefixes[0] == 0;
}

/* Are a prefix there, and a word of each clause? */
static bool has_all(const struct literal_index *index, const struct entry *entry,
                    const char *folded, size_t len, const struct literal_scratch *scratch)
{
    const uint32_t *clause = &index->clauses[entry->clauses];

    if (!has_prefix(index, &index->clauses[entry->prefixes], folded, len)) {
        return false;
    }
    for (uint32_t i = 0; i < entry->clause_count; i++) {
        uint32_t word = 1;

        while (word <= clause[0] && !has_word(index, clause[word], folded, len, scratch)) {
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
                        struct literal_scratch *scratch, struct sparse_bits *may_match)
{
    scratch->count = 0;
    see_all(index, &index->grams, folded, len, scratch);
    see_all(index, &index->short_grams, folded, len, scratch);
    uint32_t prefix = len < GRAM ? 0 : gram_read(folded, GRAM);

    for (size_t i = 0; i < scratch->count; i++) {
        const struct literal *literal = &index->literals[scratch->words[i]];
        const struct waiting *waiting = index->waiting + literal->first_waiting;

        for (uint32_t j = 0; j < literal->waiting; j++) {
            if (waiting[j].prefix != 0 && waiting[j].prefix != prefix) {
                continue;
            }
            const struct entry *entry = &index->entries[waiting[j].entry];

            if (has_all(index, entry, folded, len, scratch)) {
                sparse_bits_add(may_match, entry->pattern);
            }
        }
    }
    for (size_t i = 0; i < scratch->count; i++) {
        scratch->seen[scratch->words[i] / 64] = 0;
    }
}

size_t literal_index_bytes(const struct literal_index *index)
{
    return index->words.texts.size + index->words.count * sizeof(*index->literals) +
           index->entry_count * sizeof(*index->entries) +
           index->clauses_used * sizeof(*index->clauses) + gram_table_bytes(&index->grams) +
           gram_table_bytes(&index->short_grams);
}
