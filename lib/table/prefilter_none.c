/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/prefilter_database.h"

/* configure found no library. */

const char *prefilter_database_engine(void)
{
    return NULL;
}

struct prefilter_database *prefilter_database_compile(struct prefilter_expression *expressions,
                                                      size_t count, const atomic_bool *stop,
                                                      struct strbuf *why)
{
    (void)expressions;
    (void)count;
    (void)stop;
    (void)why;
    return NULL;
}

void prefilter_database_free(struct prefilter_database **database)
{
    *database = NULL;
}

struct prefilter_database_scratch *prefilter_database_scratch_new(
    const struct prefilter_database *database)
{
    (void)database;
    return NULL;
}

void prefilter_database_scratch_free(struct prefilter_database_scratch **scratch)
{
    *scratch = NULL;
}

bool prefilter_database_has(const struct prefilter_database *database, unsigned group)
{
    (void)database;
    (void)group;
    return false;
}

bool prefilter_database_scan(const struct prefilter_database *database,
                             struct prefilter_database_scratch *scratch, unsigned group,
                             const char *folded, size_t len, struct sparse_bits *may_match)
{
    (void)group;
    (void)database;
    (void)scratch;
    (void)folded;
    (void)len;
    (void)may_match;
    return false;
}

size_t prefilter_database_bytes(const struct prefilter_database *database)
{
    (void)database;
    return 0;
}
