/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/table.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

bool table_may_have(const struct table *table, const char *key, size_t key_len)
{
    return table->ops->may_have == NULL || table->ops->may_have(table, key, key_len);
}

void table_expect(const struct table *table, const char *key, size_t key_len)
{
    if (table->ops->expect != NULL) {
        table->ops->expect(table, key, key_len);
    }
}

enum status table_find(const struct table *table, const char *key, size_t key_len,
                       struct arena *arena, struct table_value *value_out)
{
    return table->ops->find(table, key, key_len, arena, value_out);
}

struct table *table_ref(struct table *table)
{
    if (table != NULL) {
        atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    }
    return table;
}

void table_unref(struct table **table)
{
    struct table *old = *table;

    *table = NULL;
    /* Release: what this thread did with the table comes before; acquire: and is seen by whoever frees it. */
    if (old != NULL && atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) == 1) {
        old->ops->free(old);
    }
}

const char *table_name(const struct table *table)
{
    return table->name;
}

const char *table_source(const struct table *table)
{
    return table->source;
}

const char *table_failure(const struct table *table)
{
    return table->failure;
}

size_t table_count(const struct table *table)
{
    return table->count;
}

size_t table_prefixes(const struct table *table, enum netaddr_family family,
                      const unsigned char **lengths_out)
{
    const struct table_lengths *lengths = family == NETADDR_IPV6 ? &table->ipv6 : &table->ipv4;

    *lengths_out = lengths->bits;
    return family == NETADDR_NONE ? 0 : lengths->count;
}

void table_init(struct table *table, const struct table_ops *ops, const char *name,
                const char *source)
{
    *table = (struct table){.ops = ops, .name = xstrdup(name), .source = xstrdup(source)};
    atomic_init(&table->references, 1);
}

void table_fini(struct table *table)
{
    free(table->name);
    free(table->source);
    free(table->failure);
}

void table_add_prefix(struct table *table, enum netaddr_family family, unsigned bits)
{
    struct table_lengths *lengths = family == NETADDR_IPV6 ? &table->ipv6 : &table->ipv4;
    unsigned whole = family == NETADDR_IPV6 ? 16 : 8;
    size_t at = 0;

    /* Length 0 of IPv4 has a key of its own (0.0.0.0/0), that of IPv6 is the last group cut off. */
    if (family == NETADDR_NONE || bits > netaddr_width(family) ||
        (bits % whole == 0 && !(bits == 0 && family == NETADDR_IPV4))) {
        return;
    }
    while (at < lengths->count && lengths->bits[at] > bits) {
        at++;
    }
    if (at < lengths->count && lengths->bits[at] == bits) {
        return;
    }
    memmove(lengths->bits + at + 1, lengths->bits + at, lengths->count - at);
    lengths->bits[at] = (unsigned char)bits;
    lengths->count++;
}
