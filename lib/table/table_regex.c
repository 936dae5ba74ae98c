/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/table_regex.h"

#include "lib/base/xalloc.h"
#include "lib/table/pattern_lint.h"
#include "lib/table/regex_loader.h"
#include "lib/table/regex_search.h"
#include "lib/table/textfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- life ---- */

struct table_regex *table_regex_open(const char *name, const char *path,
                                     const struct regex_dialect *dialect, struct diag *diag)
{
    int fd = textfile_open(path, diag);

    if (fd < 0) {
        return NULL;
    }
    struct table_regex *table = xcalloc(1, sizeof(*table));

    atomic_init(&table->references, 1);
    table->dialect = dialect;
    table->arena = arena_new();
    table->name = arena_strdup(table->arena, name);
    table->file = arena_strdup(table->arena, path);
    table->engine = pattern_engine_new();
    if (!regex_loader_run(table, fd, diag)) {
        table_regex_unref(&table);
    }
    close(fd);
    return table;
}

struct table_regex *table_regex_ref(struct table_regex *table)
{
    atomic_fetch_add(&table->references, 1);
    return table;
}

void table_regex_unref(struct table_regex **table)
{
    struct table_regex *old = *table;

    *table = NULL;
    if (old == NULL || atomic_fetch_sub(&old->references, 1) > 1) {
        return;
    }
    prefilter_free(&old->prefilter);
    for (size_t i = 0; i < old->count; i++) {
        pattern_free(&old->rules[i].pattern);
    }
    for (size_t i = 0; i < old->named_count; i++) {
        pattern_free(&old->named[i].pattern);
    }
    pattern_engine_free(&old->engine);
    free(old->rules);
    free(old->named);
    free(old->keywords);
    sparse_bits_fini(&old->always);
    arena_free(&old->arena);
    free(old);
}

/* ---- what it is ---- */

const char *table_regex_name(const struct table_regex *table)
{
    return table->name;
}

const char *table_regex_file(const struct table_regex *table)
{
    return table->file;
}

size_t table_regex_count(const struct table_regex *table)
{
    return table->results;
}

unsigned table_regex_client_words(const struct table_regex *table)
{
    unsigned words = 0;

    for (size_t i = 0; i < table->count; i++) {
        words |= table->rules[i].client_mask;
    }
    return words;
}

const char *table_regex_notice(const struct table_regex *table)
{
    return table->results == 0 ? NULL : pattern_engine_notice(table->engine);
}

void table_regex_prepare(struct table_regex *table)
{
    prefilter_start(table->prefilter);
}

struct prefilter *table_regex_prefilter(const struct table_regex *table)
{
    return table->prefilter;
}

/* ---- asking ---- */

void table_regex_find(const struct table_regex *table, const struct regex_query *query,
                      struct regex_match *match_out)
{
    regex_search(table, query, match_out);
}

enum status table_regex_named(const struct table_regex *table, const char *name,
                              const char *subject, size_t len, struct arena *arena,
                              const char **value_out)
{
    for (size_t i = 0; i < table->named_count; i++) {
        if (strcmp(table->named[i].name, name) == 0) {
            struct pattern_scratch *scratch = pattern_scratch_get(table->engine);
            enum status status = regex_named_find(&table->named[i], scratch, subject, len, arena,
                                                  value_out);

            pattern_scratch_put(table->engine, &scratch);
            return status;
        }
    }
    return STATUS_INVALID;
}

/* ---- looking through the rules ---- */

static void view(const struct table_regex *table, const struct regex_rule *rule,
                 struct regex_view *view_out)
{
    *view_out = (struct regex_view){
        .place = {.file = table->file, .line = rule->line, .written = rule->written},
        .kind = (enum regex_kind)rule->kind,
        .tags = table->dialect->tags == NULL ? 0 : rule->tags,
        .negated = rule->negated,
        .decoded = rule->decoded,
        .pattern = rule->text,
        .keyword = rule->keyword,
        .name = rule->name,
        .value = rule->value,
        .result = rule->written_result,
    };
}

bool table_regex_next(const struct table_regex *table, size_t *at, struct regex_view *view_out)
{
    while (*at < table->count) {
        const struct regex_rule *rule = &table->rules[(*at)++];

        if (rule->kind != REGEX_ENDIF) {
            view(table, rule, view_out);
            return true;
        }
    }
    return false;
}

/* Does the client get into all blocks around the rule? */
static bool is_for_client(const struct table_regex *table, const struct regex_rule *rule,
                          unsigned client)
{
    for (uint32_t block = rule->block; block != REGEX_NONE; block = table->rules[block].block) {
        const struct regex_rule *around = &table->rules[block];

        if ((client & around->client_mask) != around->client_bits) {
            return false;
        }
    }
    return true;
}

bool table_regex_next_keyword(const struct table_regex *table, unsigned client, size_t *at,
                              struct regex_view *view_out)
{
    while (*at < table->keyword_count) {
        const struct regex_rule *rule = &table->rules[table->keywords[(*at)++]];

        if (is_for_client(table, rule, client)) {
            view(table, rule, view_out);
            view_out->result = rule->result;
            return true;
        }
    }
    return false;
}

/* ---- lint ---- */

static void lint_pattern(const struct table_regex *table, unsigned line, const char *text,
                         size_t len, unsigned flags, struct diag *diag)
{
    struct strbuf why;

    strbuf_init(&why);
    if (pattern_lint(text, len, flags, &why)) {
        diag_report(diag, DIAG_WARNING, table->file, line,
                    "make it match each text in one way only; a text that takes too long is "
                    "answered with a temporary failure",
                    "the pattern may take exponential time: %s", why.data);
    }
    strbuf_fini(&why);
}

/* By where they stand and what they compare, then by place in the file. */
static int compare_rules(const void *left, const void *right)
{
    const struct regex_rule *a = *(const struct regex_rule *const *)left;
    const struct regex_rule *b = *(const struct regex_rule *const *)right;
    const unsigned long keys[][2] = {
        {a->block, b->block},     {a->kind, b->kind},       {a->tags, b->tags},
        {a->negated, b->negated}, {a->decoded, b->decoded}, {a->flags, b->flags},
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i][0] != keys[i][1]) {
            return keys[i][0] < keys[i][1] ? -1 : 1;
        }
    }
    int order = strcmp(a->text, b->text);

    return order != 0 ? order : (a > b) - (a < b);
}

static bool is_same_test(const struct regex_rule *a, const struct regex_rule *b)
{
    return a->block == b->block && a->kind == b->kind && a->tags == b->tags &&
           a->negated == b->negated && a->decoded == b->decoded && a->flags == b->flags &&
           strcmp(a->text, b->text) == 0;
}

/* The second of two rules that ask for the same is never reached. */
static void lint_duplicates(const struct table_regex *table, struct diag *diag)
{
    const struct regex_rule **sorted = xcalloc(table->count + 1, sizeof(const struct regex_rule *));
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        if (table->rules[i].kind == REGEX_MATCH && table->rules[i].text != NULL) {
            sorted[count++] = &table->rules[i];
        }
    }
    qsort(sorted, count, sizeof(const struct regex_rule *), compare_rules);
    for (size_t i = 1; i < count; i++) {
        if (is_same_test(sorted[i - 1], sorted[i])) {
            diag_report(diag, DIAG_WARNING, table->file, sorted[i]->line,
                        "the first one counts; remove one of them",
                        "the same pattern stands in line %u already", sorted[i - 1]->line);
        }
    }
    free(sorted);
}

void table_regex_lint(const struct table_regex *table, struct diag *diag)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct regex_rule *rule = &table->rules[i];

        if (rule->tags == 0) {
            diag_report(diag, DIAG_WARNING, table->file, rule->line, NULL,
                        "nothing is ever asked here: the `if` around it is for another tag");
        }
        if (rule->text != NULL) {
            lint_pattern(table, rule->line, rule->text, rule->text_len, rule->flags, diag);
        }
    }
    for (size_t i = 0; i < table->named_count; i++) {
        const struct regex_named *named = &table->named[i];

        lint_pattern(table, named->line, named->text, strlen(named->text), named->flags, diag);
    }
    lint_duplicates(table, diag);
}
