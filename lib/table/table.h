/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table - something that is asked for a key.
 *
 * A table is immutable once open: a map that was renamed into place is another table. It is shared by all
 * threads and by all rulesets that use it, and counted: table_ref(), table_unref(). Keys are given
 * ready for comparison: lower case, no quotes.
 */
#ifndef POSTERN_LIB_TABLE_TABLE_H
#define POSTERN_LIB_TABLE_TABLE_H

#include "lib/base/arena.h"
#include "lib/base/status.h"
#include "lib/mail/netaddr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct table;

/* Prefix lengths that one family can have: 0 to 128. */
#define TABLE_MAX_PREFIXES 129u

/* What a key leads to. The text lives in the arena of the lookup. */
struct table_value {
    const char *text; /* the right-hand side */
    size_t len;
    unsigned line; /* of the source file; 0: not known */
};

/*
 * Asks for `key`. STATUS_OK: *value_out is set. STATUS_NOTFOUND: there is no such key. STATUS_TEMPFAIL: the table cannot
 * be read; value_out->text says why (and table_failure() if it can never be). Safe for threads; may wait for a file read, never for the network.
 */
enum status table_find(const struct table *table, const char *key, size_t key_len,
                       struct arena *arena, struct table_value *value_out)
    __attribute__((warn_unused_result));

/*
 * A quick look ahead: false if the table surely holds neither `key` nor any `tag:key` (a tag is lower-case letters). True says
 * nothing. `key` has no tag of its own.
 */
bool table_may_have(const struct table *table, const char *key, size_t key_len);

/* table_may_have() will be asked soon: what it looks at is fetched meanwhile. */
void table_expect(const struct table *table, const char *key, size_t key_len);

/* Takes and gives back a reference; table_unref() sets the caller's pointer to NULL. NULL is legal. */
struct table *table_ref(struct table *table);
void table_unref(struct table **table);

/* The name in traces and logs ("access"), and the text file that people edit. Live as long as the table. */
const char *table_name(const struct table *table);
const char *table_source(const struct table *table);

/* Why every lookup fails (a table_fail), or NULL for a table that answers. */
const char *table_failure(const struct table *table);

/* Number of entries; 0 for a failing table. */
size_t table_count(const struct table *table);

/*
 * The prefix lengths, other than whole octets (IPv4) and whole groups (IPv6), that keys of the table use, longest first.
 * Returns how many; *lengths_out points into the table.
 */
size_t table_prefixes(const struct table *table, enum netaddr_family family,
                      const unsigned char **lengths_out);

/* ---- for the kinds of tables (table_gdbm, table_list, table_fail) ---- */

struct table_ops {
    enum status (*find)(const struct table *table, const char *key, size_t key_len,
                        struct arena *arena, struct table_value *value_out);
    /* The whole private structure, of which the table is the first member. */
    void (*free)(struct table *table);
    bool (*may_have)(const struct table *table, const char *key,
                     size_t key_len); /* NULL: always true */
    void (*expect)(const struct table *table, const char *key,
                   size_t key_len); /* NULL: nothing to fetch */
};

/* What all kinds have; the first member of their own structure. Only lib/table/ looks inside. */
struct table {
    const struct table_ops *ops;
    atomic_size_t references;
    char *name;
    char *source;
    char *failure; /* NULL: it answers */
    size_t count;
    struct table_lengths {
        unsigned char bits[TABLE_MAX_PREFIXES];
        size_t count;
    } ipv4, ipv6; /* longest first */
};

/* Sets all members, with one reference and no entries; `name` and `source` are copied. */
void table_init(struct table *table, const struct table_ops *ops, const char *name,
                const char *source);

/* Frees what the members hold, not the structure: for table_ops.free. */
void table_fini(struct table *table);

/*
 * Remembers a prefix length for table_prefixes(); whole octets and groups are left out, but not the 0 of IPv4, which no
 * cutting of octets ends at.
 */
void table_add_prefix(struct table *table, enum netaddr_family family, unsigned bits);

#endif
