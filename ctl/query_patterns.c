/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/query_patterns.h"

#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "lib/mail/encoded_word.h"
#include "lib/policy/config.h"
#include "lib/policy/header_rules.h"
#include "lib/policy/regex_patterns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct ctl *ctl;
    struct ctl_problems *problems;
    const char *name;
    bool decodes; /* keys are headers */
    struct table_regex *table;
    struct arena *arena;
};

#define PCRE_PREFIX "pcre:"

/* The tables of postern.conf. */
static const struct {
    const char *name;
    const struct regex_dialect *dialect;
} tables[] = {
    {"regex", &regex_patterns_dialect},
    {"header_checks", &header_rules_dialect},
    {"mime_header_checks", &header_rules_mime_dialect},
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static bool is_pcre(const char *name)
{
    return strncmp(name, PCRE_PREFIX, strlen(PCRE_PREFIX)) == 0;
}

bool query_patterns_is(const char *name)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (strcmp(name, tables[i].name) == 0) {
            return true;
        }
    }
    return is_pcre(name);
}

/* ---- opening ---- */

/* What is wrong in a file leaves the rest of it as it is: no more than a warning. */
static void as_warning(void *ctx, const struct diag_item *item)
{
    diag_report(ctx, DIAG_WARNING, item->file, item->line, item->hint, "%s", item->text);
}

static struct table_regex *open_file(struct ctl_problems *problems, const char *name,
                                     const char *path, const struct regex_dialect *dialect)
{
    struct diag diag;

    diag_init(&diag, as_warning, &problems->diag);
    return table_regex_open(name, path, dialect, &diag);
}

/* NULL, and told with *code_out: it cannot be opened, or none is configured. */
static struct table_regex *open_table(const struct ctl *ctl, struct ctl_problems *problems,
                                      const char *name, int *code_out)
{
    *code_out = CTL_TEMPFAIL;
    if (is_pcre(name)) {
        return open_file(problems, name, name + strlen(PCRE_PREFIX), &regex_dialect_postfix);
    }
    struct config *config = config_load(ctl->config_path, &problems->diag);
    struct table_regex *table = NULL;

    if (config == NULL) {
        return NULL;
    }
    const char *const paths[TABLES] = {config->regex, config->header_checks,
                                       config->mime_header_checks};

    for (size_t i = 0; i < TABLES; i++) {
        if (strcmp(name, tables[i].name) == 0 && *paths[i] != '\0') {
            table = open_file(problems, name, paths[i], tables[i].dialect);
        } else if (strcmp(name, tables[i].name) == 0) {
            *code_out = ctl_usage(ctl, "no table \"%s\" is configured in %s", name,
                                  ctl->config_path);
        }
    }
    config_free(&config);
    return table;
}

/* ---- asking ---- */

static void find_with_tag(const struct run *run, unsigned tag, const char *key,
                          struct regex_match *match_out)
{
    struct regex_query query = {
        .tag = tag,
        .subject = key,
        .len = strlen(key),
        .arena = run->arena,
    };
    struct strbuf decoded;

    strbuf_init(&decoded);
    if (run->decodes && encoded_word_decode(key, query.len, &decoded)) {
        query.decoded = decoded.data;
        query.decoded_len = decoded.len;
    }
    *match_out = (struct regex_match){.status = STATUS_NOTFOUND};
    table_regex_find(run->table, &query, match_out);
    strbuf_fini(&decoded);
}

/* A key of `regex` without a tag is a client, a sender, or a recipient. */
static void find(const struct run *run, const char *key, struct regex_match *match_out)
{
    static const enum regex_tag untagged[] = {REGEX_CONNECT, REGEX_FROM, REGEX_TO};
    enum regex_tag tag = 0;
    const char *rest;

    if (strcmp(run->name, "regex") != 0) {
        find_with_tag(run, 0, key, match_out);
        return;
    }
    if (regex_patterns_find_tag(key, &tag, &rest)) {
        find_with_tag(run, tag, rest, match_out);
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        find_with_tag(run, untagged[i], key, match_out);
        if (match_out->status != STATUS_NOTFOUND) {
            return;
        }
    }
}

static void report_failure(const struct run *run, const struct regex_match *match)
{
    diag_report(&run->problems->diag, DIAG_ERROR, match->place.file, match->place.line, NULL,
                "%s cannot be known: %s", match->place.written, match->why);
}

/* ---- one key ---- */

static json_t *json_of(const struct run *run, const char *key, const struct regex_match *match)
{
    json_t *object = json_object();

    json_object_set_new(object, "table", json_string(run->name));
    json_object_set_new(object, "key", ctl_json_text(key));
    if (match->status != STATUS_TEMPFAIL) {
        json_object_set_new(object, "found", json_boolean(match->status == STATUS_OK));
    }
    if (match->status == STATUS_OK) {
        json_t *captures = json_array();

        for (size_t i = 0; i < match->capture_count; i++) {
            const char *text = match->captures[i].text;

            json_array_append_new(captures, text == NULL ? json_null() : ctl_json_text(text));
        }
        json_object_set_new(object, "value", ctl_json_text(match->result));
        json_object_set_new(object, "file", ctl_json_text(match->place.file));
        json_object_set_new(object, "line", json_integer(match->place.line));
        json_object_set_new(object, "pattern", ctl_json_text(match->place.written));
        json_object_set_new(object, "captures", captures);
    }
    return object;
}

static int exit_of(enum status status)
{
    return status == STATUS_OK ? CTL_DONE : status == STATUS_NOTFOUND ? CTL_NO : CTL_TEMPFAIL;
}

static int ask_one(const struct run *run, const char *key)
{
    struct regex_match match;

    find(run, key, &match);
    if (match.status == STATUS_TEMPFAIL) {
        report_failure(run, &match);
    }
    int code = exit_of(match.status);

    if (run->ctl->json) {
        return ctl_print_json(run->ctl, json_of(run, key, &match), run->problems, code);
    }
    if (match.status == STATUS_OK) {
        puts(match.result);
    }
    return code;
}

/* ---- many keys ---- */

/* Each line of standard input; those that are found as `KEY<tab>RESULT`. */
static int ask_lines(const struct run *run)
{
    enum status all = STATUS_NOTFOUND;
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    while ((len = getline(&line, &size, stdin)) >= 0) {
        struct regex_match match;

        if (len > 0 && line[len - 1] == '\n') {
            line[len - 1] = '\0';
        }
        find(run, line, &match);
        if (match.status == STATUS_TEMPFAIL) {
            report_failure(run, &match);
            all = STATUS_TEMPFAIL;
        } else if (match.status == STATUS_OK) {
            printf("%s\t%s\n", line, match.result);
            all = all == STATUS_NOTFOUND ? STATUS_OK : all;
        }
        arena_reset(run->arena);
    }
    free(line);
    if (ferror(stdin) != 0 || fflush(stdout) != 0) {
        ctl_complain(run->ctl, "standard input or output: %s", strerror(errno));
        all = STATUS_TEMPFAIL;
    }
    return exit_of(all);
}

int query_patterns(const struct ctl *ctl, struct ctl_problems *problems, const char *name,
                   const char *key)
{
    struct run run = {.ctl = ctl, .problems = problems, .name = name};
    bool lines = strcmp(key, "-") == 0;
    int code;

    if (lines && ctl->json) {
        return ctl_usage(ctl, "--json answers one key");
    }
    run.table = open_table(ctl, problems, name, &code);
    if (run.table == NULL) {
        return ctl->json && code != CTL_USAGE ? ctl_print_json(ctl, json_object(), problems, code)
                                              : code;
    }
    run.decodes = strcmp(name, "regex") != 0 && !is_pcre(name);
    run.arena = arena_new();
    code = lines ? ask_lines(&run) : ask_one(&run, key);
    arena_free(&run.arena);
    table_regex_unref(&run.table);
    return code;
}
