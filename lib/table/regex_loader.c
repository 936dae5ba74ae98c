/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/regex_loader.h"

#include "lib/base/xalloc.h"
#include "lib/table/regex_template.h"

#include <stdlib.h>
#include <string.h>

/* What stands for each $n when a result is checked without a match. */
#define DUMMY "x"
#define MAX_DEPTH 1000u

struct loader {
    struct table_regex *table;
    struct diag *diag;
    struct regex_reader reader;
    size_t rules_size;
    size_t named_size;
    uint32_t block; /* the `if` around the line that is read; REGEX_NONE: none */
    unsigned depth;
    struct strbuf text; /* for one thing at a time */
};

/* What scanning a result found out. */
struct result {
    unsigned highest; /* $n */
    bool varies;
    bool verb_varies;
};

static bool error(const struct loader *loader, unsigned line, const char *hint, const char *text)
{
    diag_report(loader->diag, DIAG_ERROR, loader->table->file, line, hint, "%s", text);
    return false;
}

static const struct regex_rule *block_rule(const struct loader *loader)
{
    return loader->block == REGEX_NONE ? NULL : &loader->table->rules[loader->block];
}

/* ---- a rule without its pattern ---- */

/* The tags that the line is asked for: its own and those of the block around it. */
static uint32_t effective_tags(const struct loader *loader, const struct regex_line *line)
{
    const struct regex_dialect *dialect = loader->table->dialect;
    uint32_t around = loader->block == REGEX_NONE ? REGEX_ALL_TAGS : block_rule(loader)->tags;

    if (line->tags != 0) {
        return line->tags & around;
    }
    if (dialect->tags != NULL && line->kind == REGEX_MATCH && around == REGEX_ALL_TAGS) {
        return dialect->untagged;
    }
    return around;
}

static void copy_conditions(struct table_regex *table, const struct regex_line *line,
                            struct regex_rule *rule)
{
    size_t count = line->condition_count;
    struct regex_condition *conditions = arena_alloc(table->arena, count * sizeof(*conditions));

    for (size_t i = 0; i < count; i++) {
        conditions[i] = line->conditions[i];
        conditions[i].text = arena_strdup(table->arena, line->conditions[i].text);
    }
    rule->conditions = conditions;
    rule->condition_count = count;
    /* Filled in when all names are known. */
    rule->named = arena_alloc(table->arena, count * sizeof(struct regex_named *));
    for (size_t i = 0; i < count; i++) {
        rule->named[i] = NULL;
    }
}

static struct regex_rule make_rule(const struct loader *loader, const struct regex_line *line)
{
    struct arena *arena = loader->table->arena;
    struct regex_rule rule = {
        .kind = (unsigned char)line->kind,
        .tags = effective_tags(loader, line),
        .block = loader->block,
        .end = REGEX_NONE,
        .negated = line->negated,
        .decoded = line->decoded,
        .written = arena_strdup(arena, line->written),
        .line = line->number,
        .client_mask = line->client_mask,
        .client_bits = line->client_bits,
        .flags = line->flags,
        .keyword = line->keyword,
        .name = line->name == NULL ? NULL : arena_strdup(arena, line->name),
        .value = line->value,
    };

    if (line->pattern != NULL) {
        rule.text = arena_strndup(arena, line->pattern, line->pattern_len);
        rule.text_len = line->pattern_len;
    }
    if (line->condition_count > 0) {
        copy_conditions(loader->table, line, &rule);
    }
    return rule;
}

static uint32_t add_rule(struct loader *loader, const struct regex_rule *rule)
{
    struct table_regex *table = loader->table;

    if (table->count == loader->rules_size) {
        loader->rules_size = loader->rules_size == 0 ? 64 : loader->rules_size * 2;
        table->rules = xrealloc(table->rules, loader->rules_size * sizeof(*table->rules));
    }
    table->rules[table->count] = *rule;
    return (uint32_t)table->count++;
}

/* False: it does not compile, which was reported. */
static bool compile(struct loader *loader, struct regex_rule *rule)
{
    if (rule->text == NULL) {
        return true;
    }
    strbuf_reset(&loader->text);
    rule->pattern = pattern_compile(loader->table->engine, rule->text, rule->text_len, rule->flags,
                                    &loader->text);
    return rule->pattern != NULL || error(loader, rule->line, NULL, loader->text.data);
}

/* ---- results ---- */

/* Is the name one of the rule's named patterns that must hold? */
static bool is_condition_name(const struct regex_rule *rule, const struct regex_piece *piece)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct regex_condition *condition = &rule->conditions[i];

        if (condition->named && !condition->negated && strlen(condition->text) == piece->len &&
            memcmp(condition->text, piece->text, piece->len) == 0) {
            return true;
        }
    }
    return false;
}

/* Checks one name of a result. NULL: it is right; else what is wrong with it. */
static const char *check_name(const struct regex_rule *rule, const struct regex_piece *piece,
                              struct result *result)
{
    unsigned number;

    if (rule->kind == REGEX_KEYWORD) {
        return "the result of this rule cannot hold `$`: there is no pattern; a dollar sign itself "
               "is `$$`";
    }
    if (rule->condition_count > 0) {
        return is_condition_name(rule, piece)
                   ? NULL
                   : "`$` is followed by no name of the line; a dollar sign itself is `$$`";
    }
    if (!regex_template_number(piece, &number)) {
        return "`$` is followed by no number of a group, from 1; a dollar sign itself is `$$`";
    }
    if (rule->negated) {
        return "the result of a pattern with `!` cannot hold `$`: nothing was matched";
    }
    result->highest = number > result->highest ? number : result->highest;
    return NULL;
}

/* Scans the result; loader->text becomes what a match would give, with a dummy for each name. False: it was reported. */
static bool scan_result(struct loader *loader, const struct regex_rule *rule, struct result *result)
{
    const char *at = rule->written_result;
    struct regex_piece piece;
    enum status status;

    *result = (struct result){0};
    strbuf_reset(&loader->text);
    while ((status = regex_template_next(&at, &piece)) == STATUS_OK) {
        if (!piece.is_name) {
            strbuf_append_len(&loader->text, piece.text, piece.len);
            continue;
        }
        const char *why = check_name(rule, &piece, result);

        if (why != NULL) {
            return error(loader, rule->line, NULL, why);
        }
        result->varies = true;
        result->verb_varies |= strcspn(loader->text.data, " \t") == loader->text.len;
        strbuf_append(&loader->text, DUMMY);
    }
    return status == STATUS_NOTFOUND || error(loader, rule->line, NULL, piece.text);
}

static bool check_meaning(struct loader *loader, const struct regex_rule *rule,
                          const struct result *result)
{
    const struct table_regex *table = loader->table;
    struct regex_result meaning = {
        .file = table->file,
        .line = rule->line,
        .text = loader->text.data,
        .written = rule->written_result,
        .tags = rule->tags,
        .keyword = rule->keyword,
        .varies = result->varies,
        .verb_varies = result->verb_varies,
    };

    return table->dialect->check == NULL || table->dialect->check(&meaning, loader->diag);
}

/* A rule that has a result. In the order of Postfix: the result alone, the pattern, both together. */
static bool finish_rule(struct loader *loader, const struct regex_line *line,
                        struct regex_rule *rule)
{
    struct table_regex *table = loader->table;
    struct result result;

    rule->written_result = arena_strdup(table->arena, line->result);
    if (*line->result == '\0' && table->dialect->check == NULL) {
        diag_report(loader->diag, DIAG_WARNING, table->file, rule->line, NULL,
                    "nothing stands behind the pattern: the result is empty");
    }
    if (!scan_result(loader, rule, &result)) {
        return false;
    }
    rule->varies = result.varies;
    rule->result = result.varies ? rule->written_result
                                 : arena_strndup(table->arena, loader->text.data, loader->text.len);
    if (!check_meaning(loader, rule, &result) || !compile(loader, rule)) {
        return false;
    }
    if (rule->pattern != NULL && result.highest > pattern_groups(rule->pattern)) {
        pattern_free(&rule->pattern);
        diag_report(loader->diag, DIAG_ERROR, table->file, rule->line, NULL,
                    "the result asks for group %u, which the pattern does not have",
                    result.highest);
        return false;
    }
    return true;
}

/* ---- lines ---- */

static void add_match(struct loader *loader, const struct regex_line *line)
{
    struct regex_rule rule = make_rule(loader, line);

    if (finish_rule(loader, line, &rule)) {
        (void)add_rule(loader, &rule);
        loader->table->results++;
    }
}

static void add_if(struct loader *loader, const struct regex_line *line)
{
    struct regex_rule rule = make_rule(loader, line);

    if (loader->depth == MAX_DEPTH) {
        (void)error(loader, line->number, NULL, "blocks are nested too deeply");
        return;
    }
    if (compile(loader, &rule)) {
        loader->block = add_rule(loader, &rule);
        loader->depth++;
    }
}

static void add_endif(struct loader *loader, const struct regex_line *line)
{
    struct regex_rule rule = make_rule(loader, line);

    if (loader->block == REGEX_NONE) {
        (void)error(loader, line->number, NULL, "there is no `if` for this `endif`");
        return;
    }
    uint32_t end = add_rule(loader, &rule);
    struct regex_rule *block = &loader->table->rules[loader->block];

    block->end = end;
    loader->block = block->block;
    loader->depth--;
}

/* Only conditions on the client can stand around a keyword rule: it has no subject. */
static void add_keyword(struct loader *loader, const struct regex_line *line)
{
    const struct regex_rule *rules = loader->table->rules;

    for (uint32_t block = loader->block; block != REGEX_NONE; block = rules[block].block) {
        if (rules[block].client_mask == 0) {
            diag_report(loader->diag, DIAG_ERROR, loader->table->file, line->number,
                        "only `if client` can stand around it",
                        "`%s` cannot stand inside of the `if` of line %u, which compares a text",
                        line->keyword->word, rules[block].line);
            return;
        }
    }
    add_match(loader, line);
}

static const struct regex_named *find_named(const struct table_regex *table, const char *name)
{
    for (size_t i = 0; i < table->named_count; i++) {
        if (strcmp(table->named[i].name, name) == 0) {
            return &table->named[i];
        }
    }
    return NULL;
}

static void add_named(struct loader *loader, const struct regex_line *line)
{
    struct table_regex *table = loader->table;
    const struct regex_named *there = find_named(table, line->name);
    struct regex_named named;

    if (there != NULL) {
        diag_report(loader->diag, DIAG_ERROR, table->file, line->number, NULL,
                    "\"%s\" is defined already, in line %u", line->name, there->line);
        return;
    }
    strbuf_reset(&loader->text);
    if (!regex_named_parse(line->options, table->engine, table->arena, &named, &loader->text)) {
        (void)error(loader, line->number, NULL, loader->text.data);
        return;
    }
    named.name = arena_strdup(table->arena, line->name);
    named.line = line->number;
    if (table->named_count == loader->named_size) {
        loader->named_size = loader->named_size == 0 ? 8 : loader->named_size * 2;
        table->named = xrealloc(table->named, loader->named_size * sizeof(*table->named));
    }
    table->named[table->named_count++] = named;
}

static void add_line(struct loader *loader, const struct regex_line *line)
{
    switch (line->kind) {
    case REGEX_MATCH:
        add_match(loader, line);
        break;
    case REGEX_IF:
        add_if(loader, line);
        break;
    case REGEX_ENDIF:
        add_endif(loader, line);
        break;
    case REGEX_KEYWORD:
        add_keyword(loader, line);
        break;
    case REGEX_NAMED:
        add_named(loader, line);
        break;
    }
}

/* ---- when all lines are there ---- */

/* Names may be defined below the rules that ask them. */
static void resolve_names(struct loader *loader)
{
    struct table_regex *table = loader->table;

    for (size_t i = 0; i < table->count; i++) {
        struct regex_rule *rule = &table->rules[i];

        for (size_t j = 0; j < rule->condition_count; j++) {
            if (!rule->conditions[j].named) {
                continue;
            }
            rule->named[j] = find_named(table, rule->conditions[j].text);
            if (rule->named[j] == NULL) {
                diag_report(loader->diag, DIAG_ERROR, table->file, rule->line,
                            "define it: Kname regex PATTERN; or compare with a text: part=text",
                            "no pattern has the name \"%s\"", rule->conditions[j].text);
                rule->tags = 0; /* it is asked never */
            }
        }
    }
}

static void report_open_blocks(const struct loader *loader)
{
    const struct regex_rule *rules = loader->table->rules;

    for (uint32_t block = loader->block; block != REGEX_NONE; block = rules[block].block) {
        (void)error(loader, rules[block].line, NULL, "there is no `endif` for this `if`");
    }
}

/* The rules that no prefilter can rule out, and the prefilter of all others. */
static void make_sets(struct table_regex *table)
{
    struct prefilter_pattern *patterns = xcalloc(table->count + 1, sizeof(*patterns));

    sparse_bits_init(&table->always, table->count);
    table->keywords = xcalloc(table->count + 1, sizeof(*table->keywords));
    for (size_t i = 0; i < table->count; i++) {
        const struct regex_rule *rule = &table->rules[i];
        bool is_test = rule->kind == REGEX_MATCH || rule->kind == REGEX_IF;

        patterns[i] = (struct prefilter_pattern){
            .text = rule->text, .len = rule->text_len, .flags = rule->flags};
        if (rule->kind == REGEX_KEYWORD) {
            table->keywords[table->keyword_count++] = (uint32_t)i;
        }
        if (is_test && (rule->pattern == NULL || rule->negated)) {
            sparse_bits_add(&table->always, i);
        }
        table->has_decoded = table->has_decoded || rule->decoded;
    }
    table->keywords = xrealloc(table->keywords,
                               (table->keyword_count + 1) * sizeof(*table->keywords));
    table->prefilter = prefilter_new(patterns, table->count);
    free(patterns);
}

bool regex_loader_run(struct table_regex *table, int fd, struct diag *diag)
{
    struct loader loader = {.table = table, .diag = diag, .block = REGEX_NONE};
    struct regex_line line;

    strbuf_init(&loader.text);
    regex_reader_init(&loader.reader, fd, table->file, table->dialect, diag);
    while (regex_reader_next(&loader.reader, &line)) {
        add_line(&loader, &line);
    }
    bool is_read = !loader.reader.lines.physical.failed;

    report_open_blocks(&loader);
    resolve_names(&loader);
    make_sets(table);
    regex_reader_fini(&loader.reader);
    strbuf_fini(&loader.text);
    return is_read;
}
