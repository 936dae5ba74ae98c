/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/table_fail.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

static enum status fail_find(const struct table *table, const char *key, size_t key_len,
                             struct arena *arena, struct table_value *value_out)
{
    (void)key;
    (void)key_len;
    *value_out = (struct table_value){.text = arena_strdup(arena, table->failure),
                                      .len = strlen(table->failure)};
    return STATUS_TEMPFAIL;
}

static void fail_free(struct table *table)
{
    table_fini(table);
    free(table);
}

static const struct table_ops fail_ops = {.find = fail_find, .free = fail_free};

struct table *table_fail_new(const char *name, const char *source, const char *reason)
{
    struct table *table = xmalloc(sizeof(*table));

    table_init(table, &fail_ops, name, source);
    table->failure = xstrdup(reason);
    return table;
}
