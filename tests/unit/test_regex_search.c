/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random tables, with blocks, negated rules, tags, clients and decoded subjects, must decide the same with the prefilter
 * and without it.
 */
#include "lib/base/xalloc.h"
#include "lib/table/prefilter.h"
#include "tests/unit/random_pattern.h"
#include "tests/unit/regex_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELIMITER '~'
#define MAX_RULES 120u
#define SUBJECTS 40u

/* One random table. */
struct random_table {
    struct kit *kit;
    unsigned long seed;
    struct random_source source;
    const struct regex_dialect *dialect;
    struct strbuf text;
    struct strbuf samples[MAX_RULES];
    size_t count;
    unsigned depth; /* of blocks */
};

struct tally {
    unsigned long asked, found, failed;
};

static unsigned below(struct random_table *table, unsigned limit)
{
    return random_below(&table->source, limit);
}

/* ---- lines ---- */

static void add_tag(struct random_table *table)
{
    static const char *const tags[] = {"Connect: ", "Helo: ", "From: ", "To: "};

    if (table->dialect->tags != NULL && below(table, 4) == 0) {
        strbuf_append(&table->text, tags[below(table, 4)]);
    }
}

/* A pattern that can stand in a line; what cannot becomes a word. */
static void add_pattern(struct random_table *table)
{
    static const char letters[] = "imsxAEU";
    struct strbuf pattern;
    struct strbuf *sample = &table->samples[table->count++];

    strbuf_init(&pattern);
    strbuf_init(sample);
    random_pattern(&table->source, &pattern, sample);
    if (pattern.len == 0 || memchr(pattern.data, '\0', pattern.len) != NULL ||
        strpbrk(pattern.data, "~\n\r") != NULL) {
        strbuf_reset(&pattern);
        strbuf_append(&pattern, "viagra");
    }
    strbuf_append(&table->text, below(table, 8) == 0 ? "!" : "");
    strbuf_append_char(&table->text, DELIMITER);
    strbuf_append(&table->text, pattern.data);
    strbuf_append_char(&table->text, DELIMITER);
    if (below(table, 4) == 0) {
        strbuf_append_char(&table->text, letters[below(table, sizeof(letters) - 1)]);
    }
    if (table->dialect->decoded && below(table, 4) == 0) {
        strbuf_append_char(&table->text, 'D');
    }
    strbuf_fini(&pattern);
}

static void add_line(struct random_table *table)
{
    unsigned kind = below(table, 100);

    if (kind < 12 && table->depth < 5) {
        strbuf_append(&table->text, "if ");
        add_tag(table);
        add_pattern(table);
        table->depth++;
    } else if (kind < 15 && table->depth < 5) {
        strbuf_append(&table->text, below(table, 2) == 0 ? "if client !local" : "if client relay");
        table->depth++;
    } else if (kind < 28 && table->depth > 0) {
        strbuf_append(&table->text, "endif");
        table->depth--;
    } else if (kind < 31 && table->dialect->named) {
        strbuf_appendf(&table->text, "local=foo domain=%s conditions %u",
                       below(table, 2) == 0 ? ".example" : "bar", kind);
    } else {
        add_tag(table);
        add_pattern(table);
        strbuf_appendf(&table->text, " result %zu%s", table->count,
                       below(table, 3) == 0 ? " $1" : "");
    }
    strbuf_append_char(&table->text, '\n');
}

static struct table_regex *make_table(struct random_table *table, unsigned lines)
{
    strbuf_reset(&table->text);
    table->count = 0;
    table->depth = 0;
    table->dialect = below(table, 2) == 0 ? &regex_kit_tagged : &regex_kit_headers;
    while (lines-- > 0) {
        add_line(table);
    }
    while (table->depth-- > 0) {
        strbuf_append(&table->text, "endif\n");
    }
    /* Lines that are wrong are left out, here as there. */
    return regex_kit_open(table->kit, table->dialect, table->text.data);
}

static void free_samples(struct random_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        strbuf_fini(&table->samples[i]);
    }
}

/* ---- asking ---- */

static bool is_same_capture(const struct regex_capture *a, const struct regex_capture *b)
{
    return (a->text == NULL) == (b->text == NULL) && a->len == b->len &&
           (a->text == NULL || memcmp(a->text, b->text, a->len) == 0);
}

static bool is_same(const struct regex_match *a, const struct regex_match *b)
{
    if (a->status != b->status) {
        return false;
    }
    if (a->status == STATUS_NOTFOUND) {
        return true;
    }
    if (a->place.line != b->place.line || strcmp(a->result, b->result) != 0 ||
        a->capture_count != b->capture_count) {
        return false;
    }
    for (size_t i = 0; i < a->capture_count; i++) {
        if (!is_same_capture(&a->captures[i], &b->captures[i])) {
            return false;
        }
    }
    return true;
}

static void tell_difference(const struct random_table *table, const struct regex_query *query,
                            const struct regex_match *with, const struct regex_match *without)
{
    print_error("%s\nsubject (hex): ", table->text.data);
    for (size_t i = 0; i < query->len; i++) {
        print_error("%02x", (unsigned char)query->subject[i]);
    }
    print_error("\nsubject: %s\ndecoded: %s\n", query->subject,
                query->decoded != NULL ? query->decoded : "(the same)");
    fail_msg("table %lu, tag %u, client %u: with the prefilter %d line %u \"%s\", without %d line "
             "%u \"%s\"",
             table->seed, query->tag, query->client, (int)with->status, with->place.line,
             with->result, (int)without->status, without->place.line, without->result);
}

static void ask(struct random_table *table, const struct table_regex *rules,
                struct regex_query *query, struct tally *tally)
{
    struct regex_match with;
    struct regex_match without;

    table_regex_find(rules, query, &with);
    query->linear = true;
    table_regex_find(rules, query, &without);
    query->linear = false;
    tally->asked++;
    tally->found += without.status == STATUS_OK;
    /* A pattern that fails for want of steps may be one that the prefilter rules out. */
    if (without.status == STATUS_TEMPFAIL) {
        tally->failed++;
        return;
    }
    if (!is_same(&with, &without)) {
        tell_difference(table, query, &with, &without);
    }
}

static void random_subject(struct random_table *table, struct strbuf *subject)
{
    strbuf_reset(subject);
    if (table->count > 0 && below(table, 20) != 0) {
        const struct strbuf *sample = &table->samples[below(table, (unsigned)table->count)];

        strbuf_append_len(subject, sample->data, sample->len);
    }
    random_change(&table->source, subject);
    random_change(&table->source, subject);
}

static void ask_all(struct random_table *table, const struct table_regex *rules,
                    struct tally *tally)
{
    struct strbuf subject;
    struct strbuf decoded;

    strbuf_init(&subject);
    strbuf_init(&decoded);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct regex_query query = {.tag = 1u << below(table, 4), .client = below(table, 4)};

        random_subject(table, &subject);
        random_subject(table, &decoded);
        query.subject = subject.data;
        query.len = subject.len;
        query.arena = table->kit->arena;
        if (below(table, 3) == 0) {
            query.decoded = decoded.data;
            query.decoded_len = decoded.len;
        }
        ask(table, rules, &query, tally);
        arena_reset(table->kit->arena);
    }
    strbuf_fini(&subject);
    strbuf_fini(&decoded);
}

/* Environment of a longer run: POSTERN_RANDOM_SEED, POSTERN_RANDOM_TABLES. */
static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);

    return value != NULL ? strtoul(value, NULL, 10) : otherwise;
}

static void test_find_is_the_same_without_prefilter(void **state)
{
    unsigned long seed = number_of("POSTERN_RANDOM_SEED", 1);
    unsigned long tables = number_of("POSTERN_RANDOM_TABLES", 1000);
    struct random_table *table = xcalloc(1, sizeof(*table));
    struct tally tally = {0};

    table->kit = *state;
    strbuf_init(&table->text);
    for (unsigned long i = 0; i < tables; i++) {
        table->seed = seed + i;
        table->source.state = table->seed;
        struct table_regex *rules = make_table(table,
                                               1 + below(table, i % 4 == 0 ? MAX_RULES : 30));

        /* Now and then with the database, where there is one. */
        if (i % 40 == 0) {
            table_regex_prepare(rules);
            prefilter_wait(table_regex_prefilter(rules));
        }
        ask_all(table, rules, &tally);
        table_regex_unref(&rules);
        free_samples(table);
    }
    strbuf_fini(&table->text);
    free(table);
    print_message("%lu tables from %lu on: %lu asked, %lu found, %lu failed\n", tables, seed,
                  tally.asked, tally.found, tally.failed);
    assert_true(tally.found > tally.asked / 4);
    assert_true(tally.found < tally.asked);
    assert_true(tally.failed < tally.asked / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find_is_the_same_without_prefilter, kit_setup,
                                        kit_teardown),
    };
    return cmocka_run_group_tests_name("regex_search", tests, NULL, NULL);
}
