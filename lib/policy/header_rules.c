/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/header_rules.h"

#include "lib/base/xalloc.h"
#include "lib/mail/mime_scanner.h"
#include "lib/policy/action.h"
#include "lib/policy/client_facts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLIENTS (1u << 3) /* combinations of enum client_fact */

/* Rules about the header as a whole. There may be thousands of others, which nobody wants to pass for each message. */
struct keyword_rules {
    struct regex_view *views;
    size_t count;
};

struct header_rules {
    struct table_regex *own;  /* NULL: none configured */
    struct table_regex *mime; /* likewise; may be the same table */
    unsigned client;
    struct keyword_rules keywords[CLIENTS]; /* by what holds of the client */
    const char **names;                     /* that they ask for; a NULL behind them */
    struct ruleset_needs verbs; /* what the right-hand sides need: asked for each session */
};

/* ---- what a file may hold ---- */

/* In the order of enum header_rules_keyword. */
static const struct regex_keyword keywords[] = {
    [HEADER_RULES_MISSING] = {"missing", true, false},
    [HEADER_RULES_REPEATED] = {"repeated", true, true},
    [HEADER_RULES_HEADERS] = {"headers", false, true},
    [HEADER_RULES_BYTES] = {"bytes", false, true},
    {NULL, false, false},
};

enum header_rules_keyword header_rules_keyword_of(const struct regex_view *view)
{
    return (enum header_rules_keyword)(view->keyword - keywords);
}

static bool wants_a_field(enum action_kind kind)
{
    return kind == ACTION_IGNORE || kind == ACTION_STRIP || kind == ACTION_REPLACE;
}

static bool refuse(const struct regex_result *result, struct diag *diag, const char *hint,
                   const char *text)
{
    diag_report(diag, DIAG_ERROR, result->file, result->line, hint, "%s", text);
    return false;
}

static bool check_action(const struct regex_result *result, struct diag *diag, struct arena *arena)
{
    struct action action;
    struct action_problem problem = {NULL, NULL};

    if (!action_may_be_pattern(ACTION_OF_HEADERS, result->text, result->varies, arena, &action,
                               &problem)) {
        return refuse(result, diag, problem.hint, problem.text);
    }
    if (result->keyword != NULL && wants_a_field(action.kind)) {
        return refuse(result, diag, "write a pattern for the field, as in /^Subject:/ IGNORE",
                      "there is no single field that could be changed");
    }
    if (problem.text != NULL) {
        diag_report(diag, DIAG_WARNING, result->file, result->line, problem.hint, "%s",
                    problem.text);
    }
    return true;
}

static bool check_result(const struct regex_result *result, struct diag *diag)
{
    if (result->verb_varies) {
        return true; /* what it comes to is seen at each message, and fails closed */
    }
    struct arena *arena = arena_new();
    bool right = check_action(result, diag, arena);

    arena_free(&arena);
    return right;
}

const struct regex_dialect header_rules_dialect = {
    .client = client_facts_words,
    .keywords = keywords,
    .decoded = true,
    .check = check_result,
};

static bool check_mime_result(const struct regex_result *result, struct diag *diag)
{
    if (result->keyword != NULL) {
        return refuse(result, diag, "move it to the file of header_checks",
                      "it asks for the message's own header, and stands in mime_header_checks");
    }
    return check_result(result, diag);
}

const struct regex_dialect header_rules_mime_dialect = {
    .client = client_facts_words,
    .keywords = keywords,
    .decoded = true,
    .check = check_mime_result,
};

/* ---- what right-hand sides need ---- */

static void add_needs(const struct action *action, struct ruleset_needs *needs)
{
    switch (action->kind) {
    case ACTION_IGNORE:
    case ACTION_STRIP:
    case ACTION_PREPEND:
    case ACTION_REPLACE:
        needs->edit_headers = true;
        break;
    case ACTION_REDIRECT:
        needs->drop_recipients = true;
        needs->add_recipients = true;
        break;
    case ACTION_BCC:
        needs->add_recipients = true;
        break;
    case ACTION_QUARANTINE:
        needs->quarantine = true;
        break;
    default:
        break;
    }
}

/* A verb that hangs on what matches may be any. */
static void add_all_needs(struct ruleset_needs *needs)
{
    needs->edit_headers = true;
    needs->drop_recipients = true;
    needs->add_recipients = true;
    needs->quarantine = true;
}

static void table_needs(const struct table_regex *table, struct ruleset_needs *needs)
{
    struct arena *arena = arena_new();
    struct regex_view view;
    size_t at = 0;

    while (table_regex_next(table, &at, &view)) {
        struct action_problem problem;
        struct action action;

        if (view.result == NULL) {
            continue;
        }
        arena_reset(arena);
        if (action_may_be_pattern(ACTION_OF_HEADERS, view.result, true, arena, &action, &problem)) {
            add_needs(&action, needs);
        } else {
            add_all_needs(needs);
        }
    }
    arena_free(&arena);
}

/* ---- reading ---- */

static void add_view(struct keyword_rules *list, const struct regex_view *view)
{
    list->views = xrealloc(list->views, (list->count + 1) * sizeof(*list->views));
    list->views[list->count++] = *view;
}

static void find_keywords(struct header_rules *rules)
{
    struct regex_view view;
    size_t names = 0;
    size_t at = 0;

    for (unsigned client = 0; client < CLIENTS && rules->own != NULL; client++) {
        at = 0;
        while (table_regex_next_keyword(rules->own, client, &at, &view)) {
            add_view(&rules->keywords[client], &view);
        }
    }
    rules->names = xcalloc(1, sizeof(*rules->names));
    at = 0;
    while (rules->own != NULL && table_regex_next(rules->own, &at, &view)) {
        if (view.keyword != NULL && view.name != NULL) {
            rules->names = xrealloc(rules->names, (names + 2) * sizeof(*rules->names));
            rules->names[names++] = view.name;
            rules->names[names] = NULL;
        }
    }
}

static void find_verbs(struct header_rules *rules)
{
    struct table_regex *tables[2];
    size_t count = header_rules_tables(rules, tables);

    for (size_t i = 0; i < count; i++) {
        table_needs(tables[i], &rules->verbs);
    }
}

struct header_rules *header_rules_load(const struct config *config, struct diag *diag)
{
    struct header_rules *rules = xcalloc(1, sizeof(*rules));
    size_t errors = diag->errors;

    if (*config->header_checks != '\0') {
        rules->own = table_regex_open("header_checks", config->header_checks, &header_rules_dialect,
                                      diag);
    }
    if (*config->mime_header_checks == '\0') {
        rules->mime = NULL;
    } else if (strcmp(config->mime_header_checks, config->header_checks) == 0) {
        rules->mime = rules->own == NULL ? NULL : table_regex_ref(rules->own);
    } else {
        rules->mime = table_regex_open("mime_header_checks", config->mime_header_checks,
                                       &header_rules_mime_dialect, diag);
    }
    rules->client = (rules->own == NULL ? 0 : table_regex_client_words(rules->own)) |
                    (rules->mime == NULL ? 0 : table_regex_client_words(rules->mime));
    find_keywords(rules);
    find_verbs(rules);
    if (diag->errors != errors) {
        header_rules_free(&rules);
    }
    return rules;
}

void header_rules_free(struct header_rules **rules)
{
    if (*rules == NULL) {
        return;
    }
    table_regex_unref(&(*rules)->own);
    table_regex_unref(&(*rules)->mime);
    for (unsigned client = 0; client < CLIENTS; client++) {
        free((*rules)->keywords[client].views);
    }
    free((void *)(*rules)->names);
    free(*rules);
    *rules = NULL;
}

/* A file without rules, as the sample is, asks for nothing. */
static struct table_regex *unless_empty(struct table_regex *table)
{
    return table == NULL || table_regex_count(table) == 0 ? NULL : table;
}

const struct table_regex *header_rules_own(const struct header_rules *rules)
{
    return unless_empty(rules->own);
}

const struct table_regex *header_rules_mime(const struct header_rules *rules)
{
    return unless_empty(rules->mime);
}

bool header_rules_have_mime(const struct header_rules *rules)
{
    return rules->mime != NULL;
}

size_t header_rules_tables(const struct header_rules *rules, struct table_regex *tables_out[2])
{
    size_t count = 0;

    if (unless_empty(rules->own) != NULL) {
        tables_out[count++] = rules->own;
    }
    if (unless_empty(rules->mime) != NULL && rules->mime != rules->own) {
        tables_out[count++] = rules->mime;
    }
    return count;
}

const struct regex_view *header_rules_keywords(const struct header_rules *rules, unsigned client,
                                               size_t *count_out)
{
    const struct keyword_rules *list = &rules->keywords[client % CLIENTS];

    *count_out = list->count;
    return list->views;
}

const char *const *header_rules_names(const struct header_rules *rules)
{
    return rules->names;
}

unsigned header_rules_client(const struct header_rules *rules)
{
    return rules->client;
}

/* ---- what the MTA must give ---- */

void header_rules_needs(const struct header_rules *rules, struct ruleset_needs *needs)
{
    needs->headers = needs->headers || header_rules_own(rules) != NULL ||
                     header_rules_mime(rules) != NULL;
    needs->edit_headers = needs->edit_headers || rules->verbs.edit_headers;
    needs->drop_recipients = needs->drop_recipients || rules->verbs.drop_recipients;
    needs->add_recipients = needs->add_recipients || rules->verbs.add_recipients;
    needs->quarantine = needs->quarantine || rules->verbs.quarantine;
    needs->body = needs->body || header_rules_mime(rules) != NULL;
    needs->login = needs->login || (rules->client & (CLIENT_AUTHENTICATED | CLIENT_RELAY)) != 0;
    needs->certificate = needs->certificate || (rules->client & CLIENT_RELAY) != 0;
}

/* ---- doubts ---- */

/*
 * Does the pattern look for what is mostly found in attachments: their names (`name=`, `filename\s*=`), or a
 * Content-Disposition? A guess by its text, for a warning.
 */
static bool looks_for_attachments(const char *pattern)
{
    static const char *const words[] = {"name=",
                                        "name\\s*=",
                                        "name *=",
                                        "name[[:space:]]*=",
                                        "name[ \\t]*=",
                                        "content-disposition",
                                        "content-(disposition",
                                        "content-(type|disposition"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasestr(pattern, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* The pattern can match nothing but one of the headers that mime_header_checks is asked for. */
static bool is_for_mime_names_only(const char *pattern)
{
    return *pattern == '^' && mime_scanner_is_mime_name(pattern + 1) &&
           strchr(pattern, '|') == NULL;
}

/* Does the table ask that pattern, too? */
static bool has_pattern(const struct table_regex *table, const char *pattern)
{
    struct regex_view view;
    size_t at = 0;

    while (table_regex_next(table, &at, &view)) {
        if (view.pattern != NULL && view.kind == REGEX_MATCH &&
            strcmp(view.pattern, pattern) == 0) {
            return true;
        }
    }
    return false;
}

/* `mime`: the other file, or NULL. */
static void lint_own(const struct table_regex *table, const struct table_regex *mime,
                     struct diag *diag)
{
    static const char move[] =
        "move it to the file of mime_header_checks, or let both keys name one file";
    struct regex_view view;
    size_t at = 0;

    while (table_regex_next(table, &at, &view)) {
        if (view.pattern == NULL || view.kind != REGEX_MATCH) {
            continue;
        }
        if (mime != NULL && is_for_mime_names_only(view.pattern)) {
            diag_report(diag, DIAG_WARNING, view.place.file, view.place.line, move,
                        "%s: never asked: mime_header_checks is asked for this header",
                        view.place.written);
        } else if (looks_for_attachments(view.pattern) &&
                   (mime == NULL || !has_pattern(mime, view.pattern))) {
            diag_report(diag, DIAG_WARNING, view.place.file, view.place.line,
                        mime != NULL ? move
                                     : "set mime_header_checks, to this file or one of its own",
                        "%s: attachments are not looked at, only the message's own header",
                        view.place.written);
        }
    }
}

/* Does the right-hand side change a header? One that hangs on what matches is left alone. */
static bool changes_header(const char *result, struct arena *arena)
{
    struct action action;

    arena_reset(arena);
    return action_parse_pattern(ACTION_OF_HEADERS, result, arena, &action, NULL) &&
           (wants_a_field(action.kind) || action.kind == ACTION_PREPEND);
}

static void lint_mime(const struct table_regex *table, struct diag *diag)
{
    struct arena *arena = arena_new();
    struct regex_view view;
    size_t at = 0;

    while (table_regex_next(table, &at, &view)) {
        if (view.result != NULL && view.keyword == NULL && changes_header(view.result, arena)) {
            diag_report(diag, DIAG_WARNING, view.place.file, view.place.line,
                        "REJECT or HOLD the message instead",
                        "%s: changes the message's own header alone; in a part or an attached "
                        "message it does nothing",
                        view.place.written);
        }
    }
    arena_free(&arena);
}

void header_rules_lint(const struct header_rules *rules, struct diag *diag)
{
    struct table_regex *tables[2];
    size_t count = header_rules_tables(rules, tables);

    for (size_t i = 0; i < count; i++) {
        table_regex_lint(tables[i], diag);
    }
    if (rules->own != NULL && rules->own != rules->mime) {
        lint_own(rules->own, rules->mime, diag);
    }
    if (rules->mime != NULL && rules->mime != rules->own) {
        lint_mime(rules->mime, diag);
    }
}
