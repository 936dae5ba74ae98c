/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/regex_search.h"

#include "lib/table/regex_template.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *data;
    size_t len;
};

/* One search on its way. */
struct search {
    const struct table_regex *table;
    const struct regex_query *query;
    struct regex_match *match;
    struct pattern_scratch *scratch; /* NULL: not needed yet */
    uint32_t tag;
    /* What the prefilter named, of the subject and of its decoded form; NULL: all. */
    const struct sparse_bits *named;
    const struct sparse_bits *decoded;
    const char *values[REGEX_MAX_CONDITIONS]; /* that the named patterns of the rule gave */
};

/* ---- which rules to look at ---- */

/* Each rule by the form of the subject that it is asked for. */
static bool may_match(const struct search *search, size_t rule)
{
    const struct sparse_bits *named = search->decoded != NULL && search->table->rules[rule].decoded
                                          ? search->decoded
                                          : search->named;

    return named == NULL || sparse_bits_has(named, rule);
}

static bool is_looked_at(const struct search *search, size_t rule)
{
    return may_match(search, rule) || sparse_bits_has(&search->table->always, rule);
}

/* The first rule at or behind `from` that has to be looked at, or table->count. */
static size_t next_rule(const struct search *search, size_t from)
{
    if (search->named == NULL) {
        return from;
    }
    size_t named = sparse_bits_next(search->named, from);
    size_t always = sparse_bits_next(&search->table->always, from);
    size_t next = named < always ? named : always;

    if (search->decoded != NULL) {
        size_t decoded = sparse_bits_next(search->decoded, from);

        next = decoded < next ? decoded : next;
    }
    return next;
}

/*
 * The outermost block around the rule that was not looked at: its pattern surely does not match, so what is inside
 * does not count. REGEX_NONE: all were looked at, and hold.
 */
static uint32_t skipped_block(const struct search *search, size_t rule)
{
    uint32_t skipped = REGEX_NONE;

    if (search->named != NULL) {
        for (uint32_t block = search->table->rules[rule].block; block != REGEX_NONE;
             block = search->table->rules[block].block) {
            skipped = is_looked_at(search, block) ? skipped : block;
        }
    }
    return skipped;
}

/* ---- one rule ---- */

static struct pattern_scratch *scratch_of(struct search *search)
{
    if (search->scratch == NULL) {
        search->scratch = pattern_scratch_get(search->table->engine);
        if (search->query->spent_ns != NULL) {
            pattern_scratch_share_time(search->scratch, search->query->spent_ns);
        }
    }
    return search->scratch;
}

static struct text subject_of(const struct search *search, const struct regex_rule *rule)
{
    const struct regex_query *query = search->query;

    return rule->decoded && query->decoded != NULL
               ? (struct text){query->decoded, query->decoded_len}
               : (struct text){query->subject, query->len};
}

static enum status ask_pattern(struct search *search, const struct regex_rule *rule)
{
    struct text subject = subject_of(search, rule);

    if (!may_match(search, (size_t)(rule - search->table->rules))) {
        return rule->negated ? STATUS_OK : STATUS_NOTFOUND;
    }
    switch (pattern_match(rule->pattern, scratch_of(search), subject.data, subject.len,
                          &search->match->why)) {
    case PATTERN_FAILED:
        return STATUS_TEMPFAIL;
    case PATTERN_MATCH:
        return rule->negated ? STATUS_NOTFOUND : STATUS_OK;
    default:
        return rule->negated ? STATUS_OK : STATUS_NOTFOUND;
    }
}

/* False: the subject has no such part. */
static bool find_part(struct text subject, enum regex_part part, struct text *part_out)
{
    const char *at = memrchr(subject.data, '@', subject.len);

    *part_out = subject;
    if (part == REGEX_PART_SUBJECT) {
        return true;
    }
    if (part == REGEX_PART_LOCAL) {
        part_out->len = at == NULL ? subject.len : (size_t)(at - subject.data);
        return true;
    }
    if (at == NULL) {
        return false;
    }
    part_out->data = at + 1;
    part_out->len = subject.len - (size_t)(at + 1 - subject.data);
    return true;
}

/* Equal without regard to case; `.example` is the end of any domain below it. */
static bool is_equal(struct text part, const struct regex_condition *condition)
{
    size_t len = strlen(condition->text);

    if (condition->part == REGEX_PART_DOMAIN && condition->text[0] == '.' && part.len > len) {
        part.data += part.len - len;
        part.len = len;
    }
    return part.len == len && strncasecmp(part.data, condition->text, len) == 0;
}

static enum status ask_condition(struct search *search, const struct regex_rule *rule, size_t i)
{
    const struct regex_condition *condition = &rule->conditions[i];
    enum status status = STATUS_NOTFOUND;
    struct text part;

    search->values[i] = "";
    if (find_part(subject_of(search, rule), condition->part, &part)) {
        if (rule->named[i] != NULL) {
            status = regex_named_find(rule->named[i], scratch_of(search), part.data, part.len,
                                      search->query->arena, &search->values[i]);
        } else if (is_equal(part, condition)) {
            status = STATUS_OK;
        }
    }
    if (status == STATUS_TEMPFAIL) {
        search->match->why = search->values[i];
        return status;
    }
    return (status == STATUS_OK) != condition->negated ? STATUS_OK : STATUS_NOTFOUND;
}

static enum status ask_rule(struct search *search, const struct regex_rule *rule)
{
    if ((search->query->client & rule->client_mask) != rule->client_bits) {
        return STATUS_NOTFOUND;
    }
    if (rule->pattern != NULL) {
        return ask_pattern(search, rule);
    }
    enum status status = STATUS_OK;

    for (size_t i = 0; i < rule->condition_count && status == STATUS_OK; i++) {
        status = ask_condition(search, rule, i);
    }
    return status;
}

/* ---- what a rule gives ---- */

static struct regex_place place_of(const struct search *search, const struct regex_rule *rule)
{
    return (struct regex_place){
        .file = search->table->file, .line = rule->line, .written = rule->written};
}

static void take_captures(struct search *search, const struct regex_rule *rule)
{
    size_t count = (size_t)pattern_groups(rule->pattern) + 1;
    struct arena *arena = search->query->arena;
    struct regex_capture *captures = arena_alloc(arena, count * sizeof(*captures));
    struct text subject = subject_of(search, rule);

    for (size_t i = 0; i < count; i++) {
        size_t begin;
        size_t end;

        captures[i] = (struct regex_capture){NULL, 0};
        if (pattern_group(search->scratch, (unsigned)i, &begin, &end)) {
            captures[i].text = arena_strndup(arena, subject.data + begin, end - begin);
            captures[i].len = end - begin;
        }
    }
    search->match->captures = captures;
    search->match->capture_count = count;
}

/* What a name in the result stands for: the text of a group, or what a named pattern of the rule gave. */
static struct text find_value(const struct search *search, const struct regex_rule *rule,
                              const struct regex_piece *piece)
{
    unsigned number;

    if (regex_template_number(piece, &number)) {
        const struct regex_match *match = search->match;

        return number < match->capture_count && match->captures[number].text != NULL
                   ? (struct text){match->captures[number].text, match->captures[number].len}
                   : (struct text){"", 0};
    }
    for (size_t i = 0; i < rule->condition_count; i++) {
        const char *name = rule->conditions[i].text;

        if (rule->named[i] != NULL && strlen(name) == piece->len &&
            memcmp(name, piece->text, piece->len) == 0) {
            return (struct text){search->values[i], strlen(search->values[i])};
        }
    }
    return (struct text){"", 0};
}

static const char *expand(const struct search *search, const struct regex_rule *rule)
{
    struct strbuf result;
    struct regex_piece piece;
    const char *at = rule->result;

    strbuf_init(&result);
    while (regex_template_next(&at, &piece) == STATUS_OK) {
        struct text text = piece.is_name ? find_value(search, rule, &piece)
                                         : (struct text){piece.text, piece.len};

        strbuf_append_len(&result, text.data, text.len);
    }
    const char *copy = arena_strndup(search->query->arena, result.data, result.len);

    strbuf_fini(&result);
    return copy;
}

static void take_result(struct search *search, const struct regex_rule *rule)
{
    if (rule->pattern != NULL && !rule->negated) {
        take_captures(search, rule);
    }
    search->match->result = rule->varies ? expand(search, rule) : rule->result;
}

/* ---- all rules ---- */

static void observe(const struct search *search, const struct regex_rule *rule, enum status status)
{
    if (search->query->observer != NULL) {
        struct regex_place place = place_of(search, rule);

        search->query->observer->asked(search->query->observer, &place, status);
    }
}

/* Behind the block, or behind the last rule if it has no end. */
static size_t behind_block(const struct search *search, const struct regex_rule *block)
{
    return block->end == REGEX_NONE ? search->table->count : (size_t)block->end + 1;
}

static void search_rules(struct search *search)
{
    const struct table_regex *table = search->table;
    size_t i = next_rule(search, 0);

    while (i < table->count) {
        const struct regex_rule *rule = &table->rules[i];
        uint32_t skipped = skipped_block(search, i);
        size_t next = i + 1;

        if (skipped != REGEX_NONE) {
            next = behind_block(search, &table->rules[skipped]);
        } else if (rule->kind == REGEX_MATCH || rule->kind == REGEX_IF) {
            bool is_asked = (rule->tags & search->tag) != 0;
            enum status status = is_asked ? ask_rule(search, rule) : STATUS_NOTFOUND;

            if (is_asked) {
                observe(search, rule, status);
            }
            if (status == STATUS_TEMPFAIL || (status == STATUS_OK && rule->kind == REGEX_MATCH)) {
                search->match->status = status;
                search->match->place = place_of(search, rule);
                if (status == STATUS_OK) {
                    take_result(search, rule);
                }
                return;
            }
            if (rule->kind == REGEX_IF && status != STATUS_OK) {
                next = behind_block(search, rule);
            }
        }
        i = next_rule(search, next);
    }
}

void regex_search(const struct table_regex *table, const struct regex_query *query,
                  struct regex_match *match_out)
{
    struct search search = {
        .table = table,
        .query = query,
        .match = match_out,
        .tag = table->dialect->tags == NULL ? REGEX_ALL_TAGS : query->tag,
    };

    *match_out = (struct regex_match){.status = STATUS_NOTFOUND, .result = "", .why = ""};
    search.named = query->linear ? NULL
                                 : prefilter_scan(table->prefilter, query->subject, query->len);
    if (search.named != NULL && table->has_decoded && query->decoded != NULL) {
        search.decoded = prefilter_scan(table->prefilter, query->decoded, query->decoded_len);
    }
    search_rules(&search);
    prefilter_give_back(table->prefilter, &search.named);
    prefilter_give_back(table->prefilter, &search.decoded);
    if (search.scratch != NULL) {
        pattern_scratch_put(table->engine, &search.scratch);
    }
}
