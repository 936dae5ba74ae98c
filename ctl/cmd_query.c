/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/ctl.h"
#include "ctl/query_patterns.h"

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "lib/policy/access_map.h"
#include "lib/policy/config.h"
#include "lib/table/linereader.h"
#include "lib/table/mapline.h"
#include "lib/table/table_gdbm.h"
#include "lib/table/table_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GDBM_PREFIX "gdbm:"
#define CIDR_PREFIX "cidr:"
#define CIDR_MAX_LINE 4096u

static const char help[] =
    "One raw lookup of one key, without parents, prefixes or tags of its own; see explain for what a session\n"
    "looks up. Prints the right-hand side. Exit status 1: there is no such key; 75: it cannot be known.\n"
    "\n"
    "NAME is access, spammers, local_host_names, relay_domains (files of postern.conf; the first two as\n"
    "compiled), gdbm:FILE (a map that makemap made) or cidr:FILE (lines of \"network [text]\", of which the\n"
    "first that holds the address KEY counts).\n"
    "KEY is folded as lookups are: lower case, without quotes and backslashes, networks in their one form.\n"
    "\n"
    "Or NAME is a file of patterns: regex (KEY begins with a tag, such as From:joe@example.org), header_checks,\n"
    "mime_header_checks (KEY is a header, such as \"Subject: hello\"), or pcre:FILE. KEY is taken as it is, and $1\n"
    "in the result is put in. Lines of the file that are wrong are told, and the others answer. KEY \"-\" reads keys\n"
    "from standard input, one a line, and prints KEY, a tab and the result for those that are found.\n";

static const struct option options[] = {CTL_LONG_OPTIONS, {NULL, 0, NULL, 0}};

/* One run of the verb. */
struct run {
    const struct ctl *ctl;
    struct ctl_problems problems;
    const char *name;
    struct strbuf key;
    struct arena *arena;
    struct table_value value;
    const char *source; /* the text file of the value; arena */
};

static void fold(struct strbuf *key)
{
    size_t kept = 0;

    for (size_t i = 0; i < key->len; i++) {
        char c = key->data[i];

        if (c != '"' && c != '\\') {
            key->data[kept++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
        }
    }
    key->data[kept] = '\0';
    key->len = kept;
}

/* A network has one key in a map, however it was written: the map's own format knows which. */
static void fold_as_map(struct run *run, const struct mapfile_format *format)
{
    struct mapfile_prefixes prefixes = {0};
    struct strbuf stored;
    struct diag silent;

    diag_init(&silent, NULL, NULL);
    strbuf_init(&stored);

    struct mapfile_line line = {
        .file = "-",
        .number = 1,
        .key = run->key.data,
        .key_len = run->key.len,
        .value = "OK",
        .value_len = strlen("OK"),
        .stored_key = &stored,
        .prefixes = &prefixes,
        .diag = &silent,
    };

    if (run->key.len > 0 && format->check(&line) == STATUS_OK && stored.len > 0) {
        strbuf_reset(&run->key);
        strbuf_append_len(&run->key, stored.data, stored.len);
    }
    strbuf_fini(&stored);
    fold(&run->key);
}

static enum status find(struct run *run, struct table *table)
{
    enum status status = table_find(table, run->key.data, run->key.len, run->arena, &run->value);

    if (status == STATUS_TEMPFAIL) {
        diag_report(&run->problems.diag, DIAG_ERROR, table_source(table), 0, NULL, "%s",
                    run->value.text);
    }
    run->source = arena_strdup(run->arena, table_source(table));
    table_unref(&table);
    return status;
}

/* `why` begins with the path, which a problem names by itself. */
static void report(struct run *run, const char *path, const struct strbuf *why)
{
    size_t len = strlen(path);
    bool named = strncmp(why->data, path, len) == 0 && strncmp(why->data + len, ": ", 2) == 0;

    diag_report(&run->problems.diag, DIAG_ERROR, path, 0, NULL, "%s",
                named ? why->data + len + 2 : why->data);
}

static enum status query_map(struct run *run, const char *map_path, const char *text_path)
{
    struct strbuf why;

    strbuf_init(&why);
    struct table *table = table_gdbm_open(run->name, map_path, text_path, &why);

    if (table == NULL) {
        report(run, map_path, &why);
    }
    strbuf_fini(&why);
    return table == NULL ? STATUS_TEMPFAIL : find(run, table);
}

/* A map by its file: the text that it was made from is written in it. */
static enum status query_gdbm(struct run *run, const char *path)
{
    struct mapheader header;
    struct strbuf why;

    strbuf_init(&why);
    enum status status = table_gdbm_read_header(path, &header, &why);

    if (status != STATUS_OK) {
        report(run, path, &why);
        strbuf_fini(&why);
        return STATUS_TEMPFAIL;
    }
    strbuf_fini(&why);
    fold_as_map(run, strcmp(header.format, spammers_map_format.name) == 0 ? &spammers_map_format
                                                                          : &access_map_format);
    status = query_map(run, path, header.source);
    mapheader_fini(&header);
    return status;
}

static enum status query_list(struct run *run, const char *path)
{
    struct table *table = table_list_open(run->name, path, &run->problems.diag);

    table_list_key(&run->key);
    fold(&run->key);
    return table == NULL ? STATUS_TEMPFAIL : find(run, table);
}

/* One line of a cidr file. STATUS_OK: it holds the address. */
static enum status match_cidr(struct run *run, const struct mapfile_line *line,
                              const struct netaddr *addr)
{
    struct netaddr network;
    bool host_bits;

    if (!netaddr_parse_network(line->key, &network, &host_bits)) {
        diag_report(&run->problems.diag, DIAG_ERROR, line->file, line->number, NULL, "\"%s\" %s",
                    line->key,
                    host_bits ? "has bits set behind the prefix length" : "is not a network");
        return STATUS_TEMPFAIL;
    }
    if (!netaddr_contains(&network, addr)) {
        return STATUS_NOTFOUND;
    }
    /* A network alone answers with itself. */
    run->value.text = arena_strdup(run->arena, line->value_len > 0 ? line->value : line->key);
    run->value.line = line->number;
    return STATUS_OK;
}

static enum status scan_cidr(struct run *run, struct linereader *reader, const struct netaddr *addr)
{
    enum status status = STATUS_NOTFOUND;
    char *text;
    size_t len;

    while (status == STATUS_NOTFOUND && (text = linereader_next(reader, &len)) != NULL) {
        struct mapfile_line line = {
            .file = reader->file, .number = reader->number, .diag = &run->problems.diag};

        if (mapline_split(text, len, "", &line)) {
            status = match_cidr(run, &line, addr);
        }
    }
    return reader->failed ? STATUS_TEMPFAIL : status;
}

static enum status query_cidr(struct run *run, const char *path)
{
    struct linereader reader;
    struct netaddr addr;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    fold(&run->key);
    if (fd < 0) {
        diag_report(&run->problems.diag, DIAG_ERROR, path, 0, NULL, "%s", strerror(errno));
        return STATUS_TEMPFAIL;
    }
    run->source = path;
    linereader_init(&reader, fd, path, CIDR_MAX_LINE, &run->problems.diag);

    enum status status = netaddr_parse(run->key.data, &addr) ? scan_cidr(run, &reader, &addr)
                                                             : STATUS_NOTFOUND;

    linereader_fini(&reader);
    close(fd);
    return status;
}

/* A table of postern.conf. STATUS_INVALID: there is none of this name, which was told. */
static enum status query_configured(struct run *run)
{
    struct config *config = config_load(run->ctl->config_path, &run->problems.diag);

    if (config == NULL) {
        return STATUS_TEMPFAIL;
    }
    const struct {
        const char *name;
        const char *path;
        const struct mapfile_format *format; /* NULL: a list */
    } tables[] = {
        {"access", config->access, &access_map_format},
        {"spammers", config->spammers, &spammers_map_format},
        {"local_host_names", config->local_host_names, NULL},
        {"relay_domains", config->relay_domains, NULL},
    };
    enum status status = STATUS_INVALID;

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(tables[i].name, run->name) != 0 || tables[i].path[0] == '\0') {
            continue;
        }
        if (tables[i].format == NULL) {
            status = query_list(run, tables[i].path);
        } else {
            char *map_path = config_map_path(tables[i].path);

            fold_as_map(run, tables[i].format);
            status = query_map(run, map_path, tables[i].path);
            free(map_path);
        }
    }
    if (status == STATUS_INVALID) {
        (void)ctl_usage(run->ctl, "no table \"%s\" is configured in %s", run->name,
                        run->ctl->config_path);
    }
    config_free(&config);
    return status;
}

static enum status query(struct run *run)
{
    if (strncmp(run->name, GDBM_PREFIX, strlen(GDBM_PREFIX)) == 0) {
        return query_gdbm(run, run->name + strlen(GDBM_PREFIX));
    }
    if (strncmp(run->name, CIDR_PREFIX, strlen(CIDR_PREFIX)) == 0) {
        return query_cidr(run, run->name + strlen(CIDR_PREFIX));
    }
    return query_configured(run);
}

static int print_json(const struct run *run, enum status status, int code)
{
    json_t *object = json_object();

    json_object_set_new(object, "table", json_string(run->name));
    json_object_set_new(object, "key", json_string(run->key.data));
    if (status != STATUS_TEMPFAIL) {
        json_object_set_new(object, "found", json_boolean(status == STATUS_OK));
    }
    if (status == STATUS_OK) {
        json_object_set_new(object, "value", json_string(run->value.text));
        json_object_set_new(object, "file", json_string(run->source));
        json_object_set_new(object, "line", json_integer(run->value.line));
    }
    return ctl_print_json(run->ctl, object, &run->problems, code);
}

static int finish(const struct run *run, enum status status)
{
    int code = status == STATUS_OK         ? CTL_DONE
               : status == STATUS_NOTFOUND ? CTL_NO
               : status == STATUS_INVALID  ? CTL_USAGE
                                           : CTL_TEMPFAIL;

    if (code == CTL_USAGE) {
        return code;
    }
    if (run->ctl->json) {
        return print_json(run, status, code);
    }
    if (status == STATUS_OK) {
        puts(run->value.text);
    }
    return code;
}

int cmd_query(struct ctl *ctl, int argc, char **argv)
{
    struct run run = {.ctl = ctl};
    int option;

    while ((option = getopt_long(argc, argv, CTL_SHORT_OPTIONS, options, NULL)) != -1) {
        if (!ctl_option(ctl, option, optarg)) {
            return option == 'h' ? ctl_help(ctl, help) : ctl_usage(ctl, "wrong option");
        }
    }
    if (argc - optind != 2) {
        return ctl_usage(ctl, "a table and a key are needed");
    }
    run.name = argv[optind];
    run.arena = arena_new();
    strbuf_init(&run.key);
    strbuf_append(&run.key, argv[optind + 1]);
    ctl_problems_init(&run.problems, ctl);

    int code = query_patterns_is(run.name)
                   ? query_patterns(ctl, &run.problems, run.name, argv[optind + 1])
                   : finish(&run, query(&run));

    ctl_problems_fini(&run.problems);
    strbuf_fini(&run.key);
    arena_free(&run.arena);
    return code;
}
