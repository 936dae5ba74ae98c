/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/prefilter.h"

#include "lib/base/arena.h"
#include "lib/base/thread.h"
#include "lib/base/xalloc.h"
#include "lib/table/literal_groups.h"
#include "lib/table/prefilter_database.h"
#include "lib/table/regex_needs.h"
#include "lib/table/regex_tree.h"
#include "lib/table/regex_widen.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A pattern by itself costs some 40 ns, a scan as much as three of them. */
#define LEAST_BY_WORDS 4u
/* A scan of the database costs as much as some ten patterns. */
#define LEAST_BY_DATABASE 16u
/* So many patterns behind one word are worth a place in the database. */
#define LEAST_CROWD 8u
/* Leases that are kept for the next scan; as many threads scan at once without any allocation. */
#define POOL 32u
#define CACHE_LINE 64u
/* A subject this long is rare: its memory is given back. */
#define MAX_KEPT_SUBJECT ((size_t)64 << 10)

/* What one scan needs, and what it found. */
struct lease {
    struct sparse_bits named; /* the first member: prefilter_give_back() gets it */
    struct literal_scratch literals;
    struct prefilter_database_scratch *database; /* NULL: to be made */
    char *folded;
    size_t size;
};

/* A place of the pool, in a cache line of its own: processors would take it from each other all the time. */
struct slot {
    _Atomic(struct lease *) lease;
    char apart[CACHE_LINE - sizeof(struct lease *)];
};

struct prefilter {
    size_t count;
    struct prefilter_stats stats; /* those that do not change once it is made */
    struct literal_groups *literals;
    struct sparse_bits always; /* patterns that are in neither */
    struct slot pool[POOL];

    /* Patterns without words of their own, for the database; the thread alone has them while it runs. */
    struct prefilter_expression *expressions;
    size_t expression_count;
    pthread_t thread;
    bool started; /* and not joined yet */
    struct strbuf why;
    struct sparse_bits taken; /* patterns of the database */
    atomic_bool stop;
    atomic_bool compiling;
    atomic_bool failed; /* `why` is set */
    atomic_ulong compile_ms;
    atomic_size_t taken_count;
    atomic_size_t moved_count; /* of these, the words were known, too */
    _Atomic(struct prefilter_database *)
        database; /* NULL: not ready; `taken` is valid once it is */
};

/* ---- taking note of patterns ---- */

_Static_assert(PREFILTER_DATABASE_ALL == LITERAL_GROUPS_NONE, "both name the same groups");

static void add_expression(struct prefilter *prefilter, const struct regex_node *tree,
                           const struct regex_needs *needs, uint32_t pattern)
{
    struct strbuf text;

    if (prefilter->stats.engine == NULL) {
        return;
    }
    strbuf_init(&text);
    if (regex_widen(tree, &text)) {
        prefilter->expressions[prefilter->expression_count++] = (struct prefilter_expression){
            .text = xstrdup(text.data),
            .pattern = pattern,
            .group = (unsigned)literal_groups_of_pattern(needs)};
    }
    strbuf_fini(&text);
}

static void add_pattern(struct prefilter *prefilter, const struct prefilter_pattern *pattern,
                        size_t number, struct arena *arena)
{
    const struct regex_node *tree = regex_tree_parse(pattern->text, pattern->len, pattern->flags,
                                                     arena);
    struct regex_needs needs = {.count = 0};

    if (tree != NULL) {
        regex_needs_find(tree, arena, &needs);
    }
    bool is_indexed = literal_groups_add(prefilter->literals, (uint32_t)number, &needs);

    prefilter->stats.by_words += is_indexed;
    if (!is_indexed) {
        sparse_bits_add(&prefilter->always, number);
    }
    /* A prefix alone may be seen too often ("subject:"): see leave_out_rare(). */
    if (tree != NULL && needs.count == 0) {
        add_expression(prefilter, tree, &needs, (uint32_t)number);
    }
}

/* Leaves to their words the patterns whose prefix hardly any others have. */
static void leave_out_rare(struct prefilter *prefilter)
{
    size_t kept = 0;

    for (size_t i = 0; i < prefilter->expression_count; i++) {
        struct prefilter_expression *expression = &prefilter->expressions[i];
        size_t crowd = literal_groups_crowd(prefilter->literals, expression->pattern);

        if (crowd > 0 && crowd < LEAST_CROWD) {
            free(expression->text);
        } else {
            prefilter->expressions[kept++] = *expression;
        }
    }
    prefilter->expression_count = kept;
}

struct prefilter *prefilter_new(const struct prefilter_pattern *patterns, size_t count)
{
    struct prefilter *prefilter = xcalloc(1, sizeof(*prefilter));
    struct arena *arena = arena_new();

    prefilter->count = count;
    prefilter->stats.engine = prefilter_database_engine();
    prefilter->literals = literal_groups_new();
    sparse_bits_init(&prefilter->always, count);
    sparse_bits_init(&prefilter->taken, count);
    prefilter->expressions = xcalloc(count + 1, sizeof(*prefilter->expressions));
    strbuf_init(&prefilter->why);
    for (size_t i = 0; i < count; i++) {
        if (patterns[i].text != NULL) {
            prefilter->stats.patterns++;
            add_pattern(prefilter, &patterns[i], i, arena);
            arena_reset(arena);
        }
    }
    arena_free(&arena);
    literal_groups_finish(prefilter->literals);
    leave_out_rare(prefilter);
    prefilter->stats.bytes = literal_groups_bytes(prefilter->literals);
    return prefilter;
}

static void free_expressions(struct prefilter *prefilter)
{
    for (size_t i = 0; i < prefilter->expression_count; i++) {
        free(prefilter->expressions[i].text);
    }
    free(prefilter->expressions);
    prefilter->expressions = NULL;
    prefilter->expression_count = 0;
}

static void lease_free(struct lease *lease)
{
    sparse_bits_fini(&lease->named);
    literal_scratch_fini(&lease->literals);
    prefilter_database_scratch_free(&lease->database);
    free(lease->folded);
    free(lease);
}

void prefilter_free(struct prefilter **prefilter)
{
    struct prefilter *old = *prefilter;

    if (old == NULL) {
        return;
    }
    prefilter_stop(old);
    for (size_t i = 0; i < POOL; i++) {
        struct lease *lease = atomic_load(&old->pool[i].lease);

        if (lease != NULL) {
            lease_free(lease);
        }
    }
    struct prefilter_database *database = atomic_load(&old->database);

    prefilter_database_free(&database);
    literal_groups_free(&old->literals);
    free_expressions(old);
    strbuf_fini(&old->why);
    sparse_bits_fini(&old->always);
    sparse_bits_fini(&old->taken);
    free(old);
    *prefilter = NULL;
}

/* ---- the database ---- */

static unsigned long now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static void *compile_thread(void *arg)
{
    struct prefilter *prefilter = arg;
    unsigned long begun = now_ms();
    struct prefilter_database *database = prefilter_database_compile(
        prefilter->expressions, prefilter->expression_count, &prefilter->stop, &prefilter->why);

    for (size_t i = 0; database != NULL && i < prefilter->expression_count; i++) {
        uint32_t pattern = prefilter->expressions[i].pattern;

        if (prefilter->expressions[i].taken) {
            sparse_bits_add(&prefilter->taken, pattern);
            atomic_fetch_add(&prefilter->taken_count, 1);
            atomic_fetch_add(&prefilter->moved_count,
                             literal_groups_crowd(prefilter->literals, pattern) > 0);
        }
    }
    free_expressions(prefilter);
    atomic_store(&prefilter->compile_ms, now_ms() - begun);
    atomic_store(&prefilter->failed, prefilter->why.len > 0);
    atomic_store(&prefilter->database, database);
    atomic_store(&prefilter->compiling, false);
    return NULL;
}

void prefilter_start(struct prefilter *prefilter)
{
    if (prefilter->expression_count < LEAST_BY_DATABASE) {
        return;
    }
    atomic_store(&prefilter->compiling, true);
    prefilter->started = thread_start(&prefilter->thread, compile_thread, prefilter) == 0;
    if (!prefilter->started) {
        strbuf_append(&prefilter->why, "no thread could be started");
        atomic_store(&prefilter->compiling, false);
        atomic_store(&prefilter->failed, true);
    }
}

void prefilter_wait(struct prefilter *prefilter)
{
    if (prefilter->started) {
        (void)pthread_join(prefilter->thread, NULL);
        prefilter->started = false;
    }
}

void prefilter_stop(struct prefilter *prefilter)
{
    atomic_store(&prefilter->stop, true);
    prefilter_wait(prefilter);
}

/* ---- scanning ---- */

/* Threads begin at different places of the pool, so that they do not get into each other's way. */
static size_t pool_start(void)
{
    return (size_t)((uintptr_t)pthread_self() >> 12) % POOL;
}

static struct lease *lease_take(struct prefilter *prefilter)
{
    size_t start = pool_start();

    for (size_t i = 0; i < POOL; i++) {
        _Atomic(struct lease *) *slot = &prefilter->pool[(start + i) % POOL].lease;
        struct lease *lease = atomic_load_explicit(slot, memory_order_relaxed);

        if (lease != NULL && (lease = atomic_exchange(slot, NULL)) != NULL) {
            return lease;
        }
    }
    struct lease *lease = xcalloc(1, sizeof(*lease));

    sparse_bits_init(&lease->named, prefilter->count);
    literal_groups_scratch_init(&lease->literals, prefilter->literals);
    return lease;
}

static void lease_give(struct prefilter *prefilter, struct lease *lease)
{
    size_t start = pool_start();

    if (lease->size > MAX_KEPT_SUBJECT) {
        free(lease->folded);
        lease->folded = NULL;
        lease->size = 0;
    }
    for (size_t i = 0; i < POOL; i++) {
        struct lease *expected = NULL;

        if (atomic_compare_exchange_strong(&prefilter->pool[(start + i) % POOL].lease, &expected,
                                           lease)) {
            return;
        }
    }
    lease_free(lease);
}

static void fold(struct lease *lease, const char *subject, size_t len)
{
    if (len > lease->size) {
        free(lease->folded);
        lease->size = len < 1024 ? 1024 : len;
        lease->folded = xmalloc(lease->size);
    }
    regex_tree_fold(lease->folded, subject, len);
}

static void scan_database(const struct prefilter *prefilter,
                          const struct prefilter_database *database, size_t group,
                          struct lease *lease, size_t len)
{
    if (lease->database == NULL) {
        lease->database = prefilter_database_scratch_new(database);
    }
    /* It knows better than the words do. */
    sparse_bits_remove_all(&lease->named, &prefilter->taken);
    if (lease->database == NULL ||
        !prefilter_database_scan(database, lease->database, (unsigned)group, lease->folded, len,
                                 &lease->named)) {
        sparse_bits_add_all(&lease->named, &prefilter->taken);
    }
}

const struct sparse_bits *prefilter_scan(struct prefilter *prefilter, const char *subject,
                                         size_t len)
{
    const struct prefilter_database *database = atomic_load(&prefilter->database);
    size_t group = literal_groups_of_subject(subject, len);

    if (prefilter->stats.by_words < LEAST_BY_WORDS && database == NULL) {
        return NULL;
    }
    if (literal_groups_rule_out(prefilter->literals, group) &&
        (database == NULL || !prefilter_database_has(database, (unsigned)group))) {
        return &prefilter->always;
    }
    struct lease *lease = lease_take(prefilter);

    fold(lease, subject, len);
    sparse_bits_clear(&lease->named);
    sparse_bits_add_all(&lease->named, &prefilter->always);
    literal_groups_scan(prefilter->literals, group, lease->folded, len, &lease->literals,
                        &lease->named);
    if (database != NULL) {
        scan_database(prefilter, database, group, lease, len);
    }
    return &lease->named;
}

void prefilter_give_back(struct prefilter *prefilter, const struct sparse_bits **named)
{
    if (*named != NULL && *named != &prefilter->always) {
        lease_give(prefilter, (struct lease *)*named);
    }
    *named = NULL;
}

void prefilter_stats(const struct prefilter *prefilter, struct prefilter_stats *stats_out)
{
    const struct prefilter_database *database = atomic_load(&prefilter->database);

    *stats_out = prefilter->stats;
    stats_out->by_database = atomic_load(&prefilter->taken_count);
    stats_out->by_words -= atomic_load(&prefilter->moved_count);
    stats_out->compiling = atomic_load(&prefilter->compiling);
    stats_out->failure = atomic_load(&prefilter->failed) ? prefilter->why.data : NULL;
    stats_out->bytes += database != NULL ? prefilter_database_bytes(database) : 0;
    stats_out->compile_ms = atomic_load(&prefilter->compile_ms);
}
