/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "lib/table/table_list.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/mail/idna.h"
#include "lib/table/hash64.h"
#include "lib/table/linereader.h"
#include "lib/table/textfile.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX_LINE 1024u
#define FIRST_SLOTS 16u
#define HASH_SEED 0u
#define MAX_STORE UINT32_MAX

/*
 * All names stand one behind the other in `store`: line number, name, NUL byte. A slot holds the place of a name plus 1, or 0; at
 * most half of the slots are used. A million names cost some 30 MB less than as many allocations would.
 */
struct list_table {
    struct table base;
    struct strbuf store;
    uint32_t *slots;
    size_t slot_count; /* a power of two */
};

/* One list on its way in. */
struct loader {
    struct list_table *table;
    struct strbuf name;
    const char *file;
    struct diag *diag;
};

struct entry {
    uint32_t line;
    const char *name;
};

static struct entry entry_at(const struct list_table *table, uint32_t slot)
{
    const char *at = table->store.data + slot - 1;
    struct entry entry = {.name = at + sizeof(entry.line)};

    memcpy(&entry.line, at, sizeof(entry.line));
    return entry;
}

/* The slot of the name, or the empty one where it would be. */
static size_t find_slot(const struct list_table *table, const char *name, size_t len)
{
    size_t mask = table->slot_count - 1;
    size_t at = (size_t)hash64(name, len, HASH_SEED) & mask;

    while (table->slots[at] != 0) {
        const char *there = entry_at(table, table->slots[at]).name;

        if (strncmp(there, name, len) == 0 && there[len] == '\0') {
            break;
        }
        at = (at + 1) & mask;
    }
    return at;
}

static void grow(struct list_table *table)
{
    uint32_t *old = table->slots;
    size_t old_count = table->slot_count;

    table->slot_count = old_count == 0 ? FIRST_SLOTS : old_count * 2;
    table->slots = xcalloc(table->slot_count, sizeof(*table->slots));
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != 0) {
            const char *name = entry_at(table, old[i]).name;

            table->slots[find_slot(table, name, strlen(name))] = old[i];
        }
    }
    free(old);
}

static enum status list_find(const struct table *base, const char *key, size_t key_len,
                             struct arena *arena, struct table_value *value_out)
{
    const struct list_table *table = (const struct list_table *)base;

    if (key_len == 0 || memchr(key, '\0', key_len) != NULL) {
        return STATUS_NOTFOUND;
    }
    uint32_t slot = table->slots[find_slot(table, key, key_len)];

    if (slot == 0) {
        return STATUS_NOTFOUND;
    }
    *value_out = (struct table_value){
        .text = arena_strndup(arena, key, key_len),
        .len = key_len,
        .line = entry_at(table, slot).line,
    };
    return STATUS_OK;
}

static void list_free(struct table *base)
{
    struct list_table *table = (struct list_table *)base;

    strbuf_fini(&table->store);
    free(table->slots);
    table_fini(base);
    free(table);
}

static const struct table_ops list_ops = {.find = list_find, .free = list_free};

static struct list_table *list_new(const char *name, const char *source)
{
    struct list_table *table = xcalloc(1, sizeof(*table));

    table_init(&table->base, &list_ops, name, source);
    strbuf_init(&table->store);
    grow(table);
    return table;
}

static void error(struct loader *loader, unsigned line, const char *hint, const char *text)
{
    diag_report(loader->diag, DIAG_ERROR, loader->file, line, hint, "\"%s\" %s", loader->name.data,
                text);
}

/* Adds the name that stands in loader->name; the first of equal ones counts. */
static void insert(struct loader *loader, unsigned line)
{
    struct list_table *table = loader->table;
    const struct strbuf *name = &loader->name;
    size_t slot = find_slot(table, name->data, name->len);
    uint32_t stored_line = line;

    if (table->slots[slot] != 0) {
        return;
    }
    if (table->store.len + sizeof(stored_line) + name->len + 1 >= MAX_STORE) {
        error(loader, line, NULL, "does not fit: the list is too long");
        return;
    }
    table->slots[slot] = (uint32_t)table->store.len + 1;
    strbuf_append_len(&table->store, (const char *)&stored_line, sizeof(stored_line));
    strbuf_append_len(&table->store, name->data, name->len + 1);
    table->base.count++;
    if (table->base.count * 2 > table->slot_count) {
        grow(table);
    }
}

/* `[address]` gets the one form of the address; other names in brackets stay. */
static void normalise_literal(struct strbuf *name)
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr addr;

    name->data[name->len - 1] = '\0';
    bool is_address = netaddr_parse(name->data + 1, &addr);

    name->data[name->len - 1] = ']';
    if (is_address) {
        strbuf_reset(name);
        strbuf_appendf(name, "[%s]", netaddr_format(&addr, text));
    }
}

void table_list_key(struct strbuf *name)
{
    char text[NETADDR_TEXT_SIZE];
    char ascii[IDNA_NAME_SIZE];
    struct netaddr network;
    bool host_bits;

    if (name->len > 1 && name->data[0] == '[' && name->data[name->len - 1] == ']') {
        normalise_literal(name);
    } else if (netaddr_parse_network(name->data, &network, &host_bits)) {
        strbuf_reset(name);
        strbuf_append(name, netaddr_format(&network, text));
    } else if (name->len > 1 && name->data[name->len - 1] == '.') {
        name->data[--name->len] = '\0';
    }
    if (idna_is_needed(name->data) && idna_to_ascii(name->data, ascii)) {
        strbuf_reset(name);
        strbuf_append(name, ascii);
    }
    for (size_t i = 0; i < name->len; i++) {
        if (name->data[i] >= 'A' && name->data[i] <= 'Z') {
            name->data[i] = (char)(name->data[i] + ('a' - 'A'));
        }
    }
}

/* Brings loader->name into the form that lookups ask for. False: it was reported. */
static bool normalise(struct loader *loader, unsigned line)
{
    struct strbuf *name = &loader->name;
    char text[NETADDR_TEXT_SIZE];
    struct netaddr network;
    bool host_bits;

    if (netaddr_parse_network(name->data, &network, &host_bits)) {
        table_add_prefix(&loader->table->base, network.family, network.bits);
    } else if (host_bits) {
        diag_report(loader->diag, DIAG_ERROR, loader->file, line, NULL,
                    "\"%s\" has bits set behind the prefix length; the network is %s", name->data,
                    netaddr_format(&network, text));
        return false;
    } else if (strchr(name->data, '/') != NULL) {
        error(loader, line, "a network is written as 192.0.2.0/25 or IPv6:2001:db8::/33",
              "is not a network");
        return false;
    }
    table_list_key(name);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One line of a file, or one name of an array. */
static void add(struct loader *loader, const char *text, unsigned line)
{
    size_t len = strcspn(text, "#");

    while (len > 0 && is_blank(text[len - 1])) {
        len--;
    }
    while (len > 0 && is_blank(*text)) {
        text++;
        len--;
    }
    if (len == 0) {
        return;
    }
    strbuf_reset(&loader->name);
    strbuf_append_len(&loader->name, text, len);
    for (size_t i = 0; i < len; i++) {
        if (is_blank(text[i])) {
            error(loader, line, "each name has a line of its own", "holds a blank");
            return;
        }
    }
    if (normalise(loader, line)) {
        insert(loader, line);
    }
}

static void loader_init(struct loader *loader, const char *name, const char *file,
                        struct diag *diag)
{
    *loader = (struct loader){.table = list_new(name, file), .file = file, .diag = diag};
    strbuf_init(&loader->name);
}

/* The finished table, or NULL if there were errors. */
static struct table *loader_finish(struct loader *loader, bool failed)
{
    struct table *table = &loader->table->base;

    strbuf_fini(&loader->name);
    if (failed) {
        table_unref(&table);
    }
    return table;
}

struct table *table_list_open(const char *name, const char *path, struct diag *diag)
{
    struct linereader reader;
    struct loader loader;
    size_t errors = diag->errors;
    char *line;
    size_t len;
    int fd = textfile_open(path, diag);

    if (fd < 0) {
        return NULL;
    }
    loader_init(&loader, name, path, diag);
    linereader_init(&reader, fd, path, LIST_MAX_LINE, diag);
    while ((line = linereader_next(&reader, &len)) != NULL) {
        add(&loader, line, reader.number);
    }
    linereader_fini(&reader);
    close(fd);
    return loader_finish(&loader, diag->errors != errors);
}

struct table *table_list_new(const char *name, const char *file, char *const *names, size_t count,
                             struct diag *diag)
{
    struct loader loader;
    size_t errors = diag->errors;

    loader_init(&loader, name, file, diag);
    for (size_t i = 0; i < count; i++) {
        add(&loader, names[i], 0);
    }
    return loader_finish(&loader, diag->errors != errors);
}
