/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/table/pattern.h"
#include "lib/table/prefilter.h"
#include "tests/unit/random_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- one pattern ---- */

/* Enough others that need words, so that a prefilter is worth it. */
#define OTHERS 8u

static bool may_match(const char *pattern, unsigned flags, const char *subject, bool database)
{
    static const char *const others[OTHERS] = {"one1",  "two2", "three3", "four4",
                                               "five5", "six6", "seven7", "eight8"};
    struct prefilter_pattern patterns[OTHERS + 1 + 20];
    size_t count = 0;

    patterns[count++] = (struct prefilter_pattern){pattern, strlen(pattern), flags};
    for (size_t i = 0; i < OTHERS; i++) {
        patterns[count++] = (struct prefilter_pattern){others[i], strlen(others[i]), 0};
    }
    for (size_t i = 0; database && i < 20; i++) {
        patterns[count++] = (struct prefilter_pattern){"[0-9]{20}", 9, 0};
    }
    struct prefilter *prefilter = prefilter_new(patterns, count);

    if (database) {
        prefilter_start(prefilter);
        prefilter_wait(prefilter);
    }
    const struct sparse_bits *named = prefilter_scan(prefilter, subject, strlen(subject));

    assert_non_null(named);
    assert_int_equal(named->limit, count);
    bool is_named = sparse_bits_has(named, 0);

    prefilter_give_back(prefilter, &named);
    assert_null(named);
    prefilter_free(&prefilter);
    assert_null(prefilter);
    return is_named;
}

#define LIKE_POSTFIX (PATTERN_CASELESS | PATTERN_DOTALL)

/* A pattern, a subject that it must be asked for, and one that is ruled out without asking. */
static const struct {
    const char *pattern;
    unsigned flags;
    const char *asked, *ruled_out;
} by_words[] = {
    {"^Subject:.*viagra", LIKE_POSTFIX, "SUBJECT: ViAgRa", "Subject: cialis"},
    {"^Subject:.*viagra", LIKE_POSTFIX, "subject: cheap viagra now", "X-Subject: viagra"},
    {"^Subject:.*v[i1!|l]agra", LIKE_POSTFIX, "Subject: v1agra", "Subject: v2agra"},
    {"(cheap|free) *(meds|pills)", LIKE_POSTFIX, "FREE PILLS", "free money"},
    {"colou?r", LIKE_POSTFIX, "color", "colr"},
    {"ab+cd", 0, "abbbcd", "abbb cd"},
    {"(abc){2,}", 0, "abcabcabc", "abc abc"},
    {"foo(?=bar)bar", 0, "foobar", "foo bar"},
    {"foo\\bbar", 0, "foobar", "foo-bar"},
    {"x y z", PATTERN_EXTENDED, "xyz", "x y z"},
    {"\\Qa.b\\E", 0, "a.b", "axb"},
    {"\\x41\\x42C", 0, "ABC", "A C"},
    {"a{3}", 0, "aaa", "aa"},
    {"(?:one|two)word|third", 0, "twoword", "two words"},
    {"(?i)AbC$", 0, "aBc", "ab c"},
    {"^abc", PATTERN_MULTILINE, "x\nabc", "x\nabd"},
    {"^abc", 0, "abc", "x\nabc"},
    {"abc", PATTERN_ANCHORED, "abc", "xabc"},
    {"(abc)\\1", 0, "abcabc", "ab"},
    {"(?<word>abc)x", 0, "abcx", "abc x"},
    {"a\\060b", 0, "a0b", "a\\060b"},
};

static void test_scan_rules_out_by_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_words) / sizeof(by_words[0]); i++) {
        print_message("%s\n", by_words[i].pattern);
        assert_true(may_match(by_words[i].pattern, by_words[i].flags, by_words[i].asked, false));
        assert_false(
            may_match(by_words[i].pattern, by_words[i].flags, by_words[i].ruled_out, false));
    }
}

/* Patterns that are always asked: nothing that can be said without knowing more of PCRE2 than is wise. */
static const char *const always[] = {"abc(*ACCEPT)def",
                                     "(*UTF)abc",
                                     "(?(1)abc|def)",
                                     "(?#c)abc",
                                     "abc(?C1)",
                                     "[[:<:]]abc",
                                     "abc|",
                                     "(?:abc)?",
                                     "a{,3}bcd",
                                     "\\cAbcd",
                                     "\\10bcd",
                                     "(?xx)a b c",
                                     ".*",
                                     "\\d\\d\\d\\d",
                                     "abc{0}",
                                     "(?1(2))abcd",
                                     "\\o{101}bcd"};

static void test_scan_names_what_is_not_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        print_message("%s\n", always[i]);
        assert_true(may_match(always[i], LIKE_POSTFIX, "nothing of it", false));
        assert_true(may_match(always[i], LIKE_POSTFIX, "", false));
    }
}

static void test_scan_needs_enough_patterns(void **state)
{
    const struct prefilter_pattern patterns[] = {{"abc", 3, 0}, {NULL, 0, 0}, {"abd", 3, 0}};
    struct prefilter *prefilter = prefilter_new(patterns, 3);
    struct prefilter_stats stats;

    (void)state;
    assert_null(prefilter_scan(prefilter, "abc", 3));
    prefilter_stats(prefilter, &stats);
    assert_int_equal(stats.patterns, 2);
    assert_int_equal(stats.by_words, 2);
    prefilter_free(&prefilter);

    prefilter = prefilter_new(NULL, 0);
    prefilter_start(prefilter);
    assert_null(prefilter_scan(prefilter, "abc", 3));
    prefilter_free(&prefilter);
}

/* Patterns without words: the database, where there is one, knows them. */
static void test_start_compiles_patterns_without_words(void **state)
{
    struct prefilter_pattern patterns[100];
    char texts[100][32];
    struct prefilter_stats stats;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "[a-z]{%zu}[0-9]{%zu}@", i / 10 + 1, i % 10 + 1);
        patterns[i] = (struct prefilter_pattern){texts[i], strlen(texts[i]), 0};
    }
    struct prefilter *prefilter = prefilter_new(patterns, 100);

    assert_null(prefilter_scan(prefilter, "abc", 3)); /* none has a word */
    prefilter_start(prefilter);
    prefilter_wait(prefilter);
    prefilter_stats(prefilter, &stats);
    assert_int_equal(stats.by_words, 0);
    assert_false(stats.compiling);
    assert_null(stats.failure);
    const struct sparse_bits *named = prefilter_scan(prefilter, "XYZ99@", 6);

    if (stats.engine == NULL) {
        assert_null(named);
    } else {
        assert_int_equal(stats.by_database, 100);
        assert_true(stats.bytes > 0);
        assert_non_null(named);
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(sparse_bits_has(named, i), i / 10 + 1 <= 3 && i % 10 + 1 == 2);
        }
        prefilter_give_back(prefilter, &named);
    }
    prefilter_free(&prefilter);
}

static void test_free_stops_the_thread(void **state)
{
    struct prefilter_pattern patterns[2000];
    char texts[2000][64];

    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "[a-z]{%zu}.*[0-9]{%zu}.*[%%-/]{%zu}", i % 9 + 2,
                       i / 9 % 9 + 2, i / 81 + 1);
        patterns[i] = (struct prefilter_pattern){texts[i], strlen(texts[i]), 0};
    }
    struct prefilter *prefilter = prefilter_new(patterns, 2000);

    prefilter_start(prefilter);
    prefilter_free(&prefilter);
    assert_null(prefilter);
}

/* ---- random tables ---- */

#define MAX_PATTERNS 300u
#define SUBJECTS 30u

struct random_table {
    unsigned long seed;
    struct random_source source;
    struct pattern_engine *engine;
    struct pattern *compiled[MAX_PATTERNS];
    struct strbuf texts[MAX_PATTERNS];
    struct strbuf samples[MAX_PATTERNS];
    struct prefilter_pattern patterns[MAX_PATTERNS];
    size_t count;
};

struct tally {
    unsigned long asked, matched, named, scans;
};

static void make_table(struct random_table *table, unsigned wanted)
{
    struct strbuf why;

    strbuf_init(&why);
    table->engine = pattern_engine_new();
    for (table->count = 0; table->count < wanted;) {
        size_t i = table->count;
        unsigned flags = random_pattern_flags(&table->source);

        strbuf_init(&table->texts[i]);
        strbuf_init(&table->samples[i]);
        random_pattern(&table->source, &table->texts[i], &table->samples[i]);
        table->compiled[i] = pattern_compile(table->engine, table->texts[i].data,
                                             table->texts[i].len, flags, &why);
        if (table->compiled[i] == NULL) {
            strbuf_fini(&table->texts[i]);
            strbuf_fini(&table->samples[i]);
            continue;
        }
        table->patterns[i] = (struct prefilter_pattern){table->texts[i].data, table->texts[i].len,
                                                        flags};
        table->count++;
    }
    strbuf_fini(&why);
}

static void free_table(struct random_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        pattern_free(&table->compiled[i]);
        strbuf_fini(&table->texts[i]);
        strbuf_fini(&table->samples[i]);
    }
    pattern_engine_free(&table->engine);
}

static void print_bytes(const char *what, const char *text, size_t len)
{
    print_error("%s (hex): ", what);
    for (size_t i = 0; i < len; i++) {
        print_error("%02x", (unsigned char)text[i]);
    }
    print_error("\n%s: %.*s\n", what, (int)len, text);
}

/* What PCRE2 matches is named. */
static void check_subject(struct random_table *table, struct prefilter *prefilter,
                          const struct strbuf *subject, struct tally *tally)
{
    struct pattern_scratch *scratch = pattern_scratch_get(table->engine);
    const struct sparse_bits *named = prefilter_scan(prefilter, subject->data, subject->len);
    const char *why;

    tally->scans += named != NULL;
    for (size_t i = 0; named != NULL && i < table->count; i++) {
        bool is_named = sparse_bits_has(named, i);
        enum pattern_result result = pattern_match(table->compiled[i], scratch, subject->data,
                                                   subject->len, &why);

        tally->asked++;
        tally->named += is_named;
        tally->matched += result == PATTERN_MATCH;
        if (result == PATTERN_MATCH && !is_named) {
            print_bytes("pattern", table->texts[i].data, table->texts[i].len);
            print_bytes("subject", subject->data, subject->len);
            fail_msg("table %lu, flags %#x: PCRE2 matches, the prefilter rules it out", table->seed,
                     table->patterns[i].flags);
        }
    }
    prefilter_give_back(prefilter, &named);
    pattern_scratch_put(table->engine, &scratch);
}

static void check_table(struct random_table *table, bool database, struct tally *tally)
{
    struct prefilter *prefilter = prefilter_new(table->patterns, table->count);
    struct strbuf subject;

    strbuf_init(&subject);
    if (database) {
        prefilter_start(prefilter);
        prefilter_wait(prefilter);
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        const struct strbuf *sample =
            &table->samples[random_below(&table->source, (unsigned)table->count)];

        strbuf_reset(&subject);
        strbuf_append_len(&subject, sample->data, sample->len);
        random_change(&table->source, &subject);
        random_change(&table->source, &subject);
        check_subject(table, prefilter, &subject, tally);
    }
    strbuf_fini(&subject);
    prefilter_free(&prefilter);
}

static void check_tables(unsigned long seed, unsigned tables, unsigned largest, bool database)
{
    struct random_table *table = xcalloc(1, sizeof(*table));
    struct tally tally = {0};

    for (unsigned i = 0; i < tables; i++) {
        table->seed = seed + i;
        table->source.state = table->seed;
        make_table(table, 1 + random_below(&table->source, largest));
        check_table(table, database, &tally);
        free_table(table);
    }
    free(table);
    print_message("seeds %lu to %lu: %lu scans, %lu patterns, %lu matched, %lu named\n", seed,
                  seed + tables - 1, tally.scans, tally.asked, tally.matched, tally.named);
    /* Neither does it name all, nor are there too few matches to prove anything. */
    assert_true(tally.matched > tally.asked / 50);
    assert_true(tally.named < tally.asked / 2);
}

/* Environment of a longer run: POSTERN_RANDOM_SEED, POSTERN_RANDOM_TABLES. */
static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);

    return value != NULL ? strtoul(value, NULL, 10) : otherwise;
}

static void test_scan_names_all_that_match(void **state)
{
    (void)state;
    check_tables(number_of("POSTERN_RANDOM_SEED", 1000),
                 (unsigned)number_of("POSTERN_RANDOM_TABLES", 3000), 40, false);
}

static void test_scan_with_database_names_all_that_match(void **state)
{
    (void)state;
    check_tables(number_of("POSTERN_RANDOM_SEED", 1000),
                 (unsigned)number_of("POSTERN_RANDOM_TABLES", 3000) / 200, MAX_PATTERNS, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_rules_out_by_words),
        cmocka_unit_test(test_scan_names_what_is_not_understood),
        cmocka_unit_test(test_scan_needs_enough_patterns),
        cmocka_unit_test(test_start_compiles_patterns_without_words),
        cmocka_unit_test(test_free_stops_the_thread),
        cmocka_unit_test(test_scan_names_all_that_match),
        cmocka_unit_test(test_scan_with_database_names_all_that_match),
    };
    return cmocka_run_group_tests_name("prefilter", tests, NULL, NULL);
}
