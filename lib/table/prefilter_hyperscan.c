/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/prefilter_database.h"

#include "lib/base/xalloc.h"

#include <hs/hs.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/*
 * Expressions of one database. A piece of usual ones compiles in some 70 ms, of the worst that regex_widen() lets pass in a second; in
 * larger ones the time grows faster than their number.
 */
#define PIECE 50u
/* Refused expressions are left out one by one; what refuses more than these is given up. */
#define MAX_REFUSED 50u

struct prefilter_database {
    struct part {
        hs_database_t *database;
        unsigned group;
    } * parts;
    size_t count;
    size_t room;
    size_t bytes;
    hs_scratch_t *scratch; /* large enough for all pieces; copied, never used */
};

struct prefilter_database_scratch {
    hs_scratch_t *scratch;
};

const char *prefilter_database_engine(void)
{
    return hs_valid_platform() == HS_SUCCESS ? hs_version() : NULL;
}

/* ---- compiling ---- */

/* The arrays that hs_compile_multi() wants. */
struct piece {
    const char *texts[PIECE];
    unsigned flags[PIECE];
    unsigned numbers[PIECE];
    struct prefilter_expression *expressions[PIECE];
    unsigned count;
};

static void leave_out(struct piece *piece, unsigned index)
{
    size_t behind = piece->count - index - 1;

    memmove(&piece->texts[index], &piece->texts[index + 1], behind * sizeof(piece->texts[0]));
    memmove(&piece->numbers[index], &piece->numbers[index + 1], behind * sizeof(piece->numbers[0]));
    memmove(&piece->expressions[index], &piece->expressions[index + 1],
            behind * sizeof(piece->expressions[0]));
    piece->count--;
}

/* Compiles the piece without the expressions that the library refuses. NULL: nothing is left of it. */
static hs_database_t *compile_piece(struct piece *piece, struct strbuf *why)
{
    hs_database_t *database = NULL;
    hs_compile_error_t *error = NULL;

    for (unsigned refused = 0; piece->count > 0 && refused < MAX_REFUSED; refused++) {
        if (hs_compile_multi(piece->texts, piece->flags, piece->numbers, piece->count,
                             HS_MODE_BLOCK, NULL, &database, &error) == HS_SUCCESS) {
            return database;
        }
        int expression = error->expression;

        if (why->len == 0) {
            strbuf_append(why, error->message);
        }
        (void)hs_free_compile_error(error);
        if (expression < 0 || (unsigned)expression >= piece->count) {
            break;
        }
        leave_out(piece, (unsigned)expression);
    }
    piece->count = 0;
    return NULL;
}

static bool add_part(struct prefilter_database *database, hs_database_t *piece, unsigned group)
{
    size_t bytes = 0;

    if (hs_alloc_scratch(piece, &database->scratch) != HS_SUCCESS) {
        (void)hs_free_database(piece);
        return false;
    }
    (void)hs_database_size(piece, &bytes);
    if (database->count == database->room) {
        database->room = database->room > 0 ? 2 * database->room : 4;
        database->parts = xrealloc(database->parts, database->room * sizeof(*database->parts));
    }
    database->parts[database->count++] = (struct part){piece, group};
    database->bytes += bytes;
    return true;
}

static void compile_some(struct prefilter_database *database,
                         struct prefilter_expression *expressions, size_t count, struct strbuf *why)
{
    struct piece *piece = xcalloc(1, sizeof(*piece));

    for (size_t i = 0; i < count; i++) {
        piece->texts[i] = expressions[i].text;
        piece->flags[i] = HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY | HS_FLAG_PREFILTER;
        piece->numbers[i] = expressions[i].pattern;
        piece->expressions[i] = &expressions[i];
    }
    piece->count = (unsigned)count;
    hs_database_t *compiled = compile_piece(piece, why);

    if (compiled != NULL && add_part(database, compiled, expressions[0].group)) {
        for (unsigned i = 0; i < piece->count; i++) {
            piece->expressions[i]->taken = true;
        }
    }
    free(piece);
}

static int compare_groups(const void *left, const void *right)
{
    const struct prefilter_expression *a = left;
    const struct prefilter_expression *b = right;

    return (a->group > b->group) - (a->group < b->group);
}

/* How many of the next expressions become a piece: all of one group, up to the size of a piece. */
static size_t next_piece(const struct prefilter_expression *expressions, size_t count)
{
    size_t taken = 0;

    while (taken < count && taken < PIECE && expressions[taken].group == expressions[0].group) {
        taken++;
    }
    return taken;
}

struct prefilter_database *prefilter_database_compile(struct prefilter_expression *expressions,
                                                      size_t count, const atomic_bool *stop,
                                                      struct strbuf *why)
{
    struct prefilter_database *database = xcalloc(1, sizeof(*database));

    qsort(expressions, count, sizeof(*expressions), compare_groups);
    for (size_t at = 0; at < count && !atomic_load(stop);) {
        size_t piece = next_piece(expressions + at, count - at);

        compile_some(database, expressions + at, piece, why);
        at += piece;
    }
    if (atomic_load(stop) || database->count == 0) {
        prefilter_database_free(&database);
    }
    return database;
}

void prefilter_database_free(struct prefilter_database **database)
{
    if (*database == NULL) {
        return;
    }
    for (size_t i = 0; i < (*database)->count; i++) {
        (void)hs_free_database((*database)->parts[i].database);
    }
    (void)hs_free_scratch((*database)->scratch);
    free((*database)->parts);
    free(*database);
    *database = NULL;
}

size_t prefilter_database_bytes(const struct prefilter_database *database)
{
    return database->bytes;
}

/* ---- scanning ---- */

struct prefilter_database_scratch *prefilter_database_scratch_new(
    const struct prefilter_database *database)
{
    struct prefilter_database_scratch *scratch = xcalloc(1, sizeof(*scratch));

    if (hs_clone_scratch(database->scratch, &scratch->scratch) != HS_SUCCESS) {
        free(scratch);
        return NULL;
    }
    return scratch;
}

void prefilter_database_scratch_free(struct prefilter_database_scratch **scratch)
{
    if (*scratch != NULL) {
        (void)hs_free_scratch((*scratch)->scratch);
        free(*scratch);
        *scratch = NULL;
    }
}

static int on_match(unsigned number, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context)
{
    struct sparse_bits *may_match = context;

    (void)from;
    (void)to;
    (void)flags;
    sparse_bits_add(may_match, number);
    return 0;
}

bool prefilter_database_has(const struct prefilter_database *database, unsigned group)
{
    for (size_t i = 0; i < database->count; i++) {
        if (database->parts[i].group == group ||
            database->parts[i].group == PREFILTER_DATABASE_ALL) {
            return true;
        }
    }
    return false;
}

bool prefilter_database_scan(const struct prefilter_database *database,
                             struct prefilter_database_scratch *scratch, unsigned group,
                             const char *folded, size_t len, struct sparse_bits *may_match)
{
    if (len > UINT_MAX) {
        return false;
    }
    for (size_t i = 0; i < database->count; i++) {
        const struct part *part = &database->parts[i];

        if (part->group != group && part->group != PREFILTER_DATABASE_ALL) {
            continue;
        }
        if (hs_scan(part->database, folded, (unsigned)len, 0, scratch->scratch, on_match,
                    may_match) != HS_SUCCESS) {
            return false;
        }
    }
    return true;
}
