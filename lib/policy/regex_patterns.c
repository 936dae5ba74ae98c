/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/regex_patterns.h"

#include "lib/base/xalloc.h"
#include "lib/policy/action.h"
#include "lib/policy/client_facts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* In the order of enum regex_tag. */
static const char *const tag_names[] = {"Connect", "Helo", "From", "To", "Compat", NULL};

const char *regex_patterns_tag_name(enum regex_tag tag)
{
    for (unsigned bit = 0; tag_names[bit] != NULL; bit++) {
        if ((unsigned)tag == 1u << bit) {
            return tag_names[bit];
        }
    }
    return "";
}

bool regex_patterns_find_tag(const char *text, enum regex_tag *tag_out, const char **rest_out)
{
    for (unsigned bit = 0; tag_names[bit] != NULL; bit++) {
        size_t len = strlen(tag_names[bit]);

        if (strncasecmp(text, tag_names[bit], len) == 0 && text[len] == ':') {
            *tag_out = (enum regex_tag)(1u << bit);
            *rest_out = text + len + 1;
            return true;
        }
    }
    return false;
}

/* ---- right-hand sides ---- */

static bool bad(const struct regex_result *result, struct diag *diag, const char *text,
                const char *hint)
{
    diag_report(diag, DIAG_ERROR, result->file, result->line, hint, "%s", text);
    return false;
}

/* Does the verb mean anything where the rule is asked? */
static bool check_place(const struct regex_result *result, const struct action *action,
                        struct diag *diag)
{
    if (action->kind == ACTION_TEMP && result->tags != REGEX_COMPAT) {
        return bad(result, diag, "TEMP: stands behind Compat: patterns only", "write DEFER text");
    }
    if (action->kind == ACTION_QUARANTINE && (result->tags & REGEX_COMPAT) != 0) {
        return bad(result, diag, "QUARANTINE cannot hold one recipient",
                   "Compat: knows DISCARD, TEMP:text, REJECT text and other replies");
    }
    if (action->kind == ACTION_RELAY && (result->tags & (REGEX_CONNECT | REGEX_TO)) == 0) {
        diag_report(diag, DIAG_WARNING, result->file, result->line,
                    "Connect: and To: patterns can permit relaying",
                    "RELAY permits nothing here: it is the same as OK");
    }
    return true;
}

/* "DISCARD:text" behind Compat:, as in the access file: nobody sees the text. */
static const char *without_text(const char *text, unsigned tags)
{
    return tags == REGEX_COMPAT && action_is_discard_with_text(text) ? "DISCARD" : text;
}

static bool check_result(const struct regex_result *result, struct diag *diag)
{
    struct arena *arena = arena_new();
    struct action_problem problem;
    struct action action;
    bool good = result->verb_varies; /* who writes so is told when it happens */

    if (good && (result->tags & (REGEX_CONNECT | REGEX_TO)) != 0) {
        /* What a client sends must never say RELAY. */
        good = bad(result, diag, "the action hangs on what a group matched",
                   "write the action out; $n may stand in its text");
    } else if (!good) {
        good = action_may_be_pattern(ACTION_OF_REGEX, without_text(result->text, result->tags),
                                     result->varies, arena, &action, &problem);
        if (problem.text != NULL) {
            diag_report(diag, good ? DIAG_WARNING : DIAG_ERROR, result->file, result->line,
                        problem.hint, "%s", problem.text);
        }
        good = good && check_place(result, &action, diag);
    }
    arena_free(&arena);
    return good;
}

const struct regex_dialect regex_patterns_dialect = {
    .tags = tag_names,
    .untagged = REGEX_CONNECT | REGEX_FROM | REGEX_TO,
    .client = client_facts_words,
    .named = true,
    .check = check_result,
};

/* ---- the file ---- */

/* A right-hand side that hangs on what a group matched can be anything. */
static void note_needs(struct regex_patterns *patterns, const struct regex_view *view,
                       struct arena *arena)
{
    const char *text = without_text(view->result, view->tags);
    struct action action = {.kind = ACTION_OK};
    struct action_problem problem;
    bool varies = memchr(text, '$', strcspn(text, " \t:")) != NULL ||
                  !action_may_be_pattern(ACTION_OF_REGEX, text, true, arena, &action, &problem);
    bool redirects = varies || action.kind == ACTION_REDIRECT;
    bool drops = varies || action.kind == ACTION_DISCARD;
    bool relays = varies || action.kind == ACTION_RELAY;

    patterns->quarantines |= varies || action.kind == ACTION_QUARANTINE;
    patterns->edits |= varies || action.kind == ACTION_PREPEND;
    patterns->adds_recipients |= redirects || action.kind == ACTION_BCC;
    patterns->drops |= redirects || (drops && (view->tags & REGEX_COMPAT) != 0);
    patterns->relays |= relays && (view->tags & REGEX_CONNECT) != 0;
}

static void look_through(struct regex_patterns *patterns)
{
    struct arena *arena = arena_new();
    struct regex_view view;
    size_t at = 0;

    while (table_regex_next(patterns->table, &at, &view)) {
        if (view.result != NULL) {
            patterns->tags |= view.tags;
            note_needs(patterns, &view, arena);
            arena_reset(arena);
        }
    }
    arena_free(&arena);
}

struct regex_patterns *regex_patterns_load(const char *path, struct diag *diag)
{
    struct regex_patterns *patterns = xcalloc(1, sizeof(*patterns));
    size_t errors = diag->errors;

    if (*path == '\0') {
        return patterns;
    }
    patterns->table = table_regex_open("regex", path, &regex_patterns_dialect, diag);
    if (patterns->table == NULL || diag->errors > errors) {
        regex_patterns_free(&patterns);
        return NULL;
    }
    patterns->client = table_regex_client_words(patterns->table);
    look_through(patterns);
    return patterns;
}

void regex_patterns_free(struct regex_patterns **patterns)
{
    if (*patterns == NULL) {
        return;
    }
    table_regex_unref(&(*patterns)->table);
    free(*patterns);
    *patterns = NULL;
}
