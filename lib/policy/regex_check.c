/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/regex_check.h"

#include "lib/policy/action.h"
#include "lib/policy/regex_patterns.h"

#include <ctype.h>
#include <string.h>

struct check {
    const struct config *config;
    struct table_regex *table;
    struct diag *diag;
    struct arena *arena;
    unsigned first_ok; /* OK where RELAY may have been meant: told once */
    size_t oks;
};

static void warn(const struct check *check, const struct regex_place *place, const char *hint,
                 const char *text)
{
    diag_report(check->diag, DIAG_WARNING, place->file, place->line, hint, "%s", text);
}

/* ---- relaying ---- */

/* Asks as a session would, for a subject that nobody has heard of. */
static bool finds_relay(const struct check *check, enum regex_tag tag, const char *subject,
                        struct regex_match *match_out)
{
    struct regex_query query = {
        .tag = (unsigned)tag,
        .subject = subject,
        .len = strlen(subject),
        .arena = check->arena,
    };
    struct action action;

    table_regex_find(check->table, &query, match_out);
    return match_out->status == STATUS_OK &&
           action_parse_pattern(ACTION_OF_REGEX, match_out->result, check->arena, &action, NULL) &&
           action.kind == ACTION_RELAY;
}

/* Names and addresses that are kept for examples and tests: a RELAY for them is one for everybody. */
static void find_open_relay(const struct check *check)
{
    static const struct {
        enum regex_tag tag;
        const char *subject;
        const char *text;
    } strangers[] = {
        {REGEX_TO, "user@host.stranger.invalid", "everybody may relay to everywhere"},
        {REGEX_TO, "user", "everybody may relay to everywhere"},
        {REGEX_CONNECT, "host.stranger.invalid", "every client may relay"},
        {REGEX_CONNECT, "[192.0.2.111]", "an address that nobody named may relay"},
    };
    struct regex_match match;
    unsigned told = 0;

    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        if (finds_relay(check, strangers[i].tag, strangers[i].subject, &match) &&
            match.place.line != told) {
            diag_report(check->diag, DIAG_WARNING, match.place.file, match.place.line,
                        "name the domain or the client, and anchor it with $",
                        "\"%s\" is an open relay: %s", strangers[i].subject, strangers[i].text);
            told = match.place.line;
        }
    }
}

/* Does the pattern end where the subject does? An escaped dollar sign does not. */
static bool is_anchored(const char *pattern)
{
    size_t len = strlen(pattern);

    if (len > 0 && pattern[len - 1] == '$') {
        size_t backslashes = 0;

        while (backslashes + 1 < len && pattern[len - 2 - backslashes] == '\\') {
            backslashes++;
        }
        return backslashes % 2 == 0;
    }
    return len > 1 && pattern[len - 2] == '\\' && strchr("zZ", pattern[len - 1]) != NULL;
}

/* "^[10.", its bracket and dot escaped: no name begins with a bracket. */
static bool is_address_prefix(const char *pattern)
{
    return strncmp(pattern, "^\\[", 3) == 0 &&
           (pattern[3] == '\0' || strchr("?*{|", pattern[3]) == NULL);
}

/* A domain that anybody can put before or behind the one that was meant. */
static void check_relay(const struct check *check, const struct regex_view *view)
{
    if (view->pattern == NULL || view->negated) {
        return;
    }
    if (!is_anchored(view->pattern) && (view->tags & REGEX_TO) != 0) {
        warn(check, &view->place, "end the pattern in $",
             "RELAY for more than it seems: whatever follows the pattern is relayed too, "
             "\"example.org\" with \"example.org.stranger.invalid\"");
    } else if (!is_anchored(view->pattern) && !is_address_prefix(view->pattern)) {
        warn(check, &view->place, "end the pattern in $",
             "RELAY for more than it seems: clients whose name goes on behind the pattern may "
             "relay too");
    } else if (isalnum((unsigned char)view->pattern[0])) {
        warn(check, &view->place, "begin the pattern with ^, @ or \\.",
             "RELAY for more than it seems: whatever stands before the pattern is relayed too, "
             "\"example.org\" with \"strangerexample.org\"");
    }
}

/* ---- rules ---- */

static void check_rule(struct check *check, const struct regex_view *view)
{
    struct action action;
    bool relaying = config_controls_relaying(check->config);
    bool can_relay = (view->tags & (REGEX_CONNECT | REGEX_TO)) != 0;

    if (view->result == NULL || !relaying || !can_relay ||
        !action_parse_pattern(ACTION_OF_REGEX, view->result, check->arena, &action, NULL)) {
        return;
    }
    if (action.kind == ACTION_RELAY) {
        check_relay(check, view);
    } else if (action.kind == ACTION_OK && check->oks++ == 0) {
        check->first_ok = view->place.line;
    }
}

static void report_oks(const struct check *check)
{
    const char *hint = "write RELAY to relay; OK spares the client or recipient the other checks";
    const char *file = table_regex_file(check->table);

    if (check->oks == 1) {
        diag_report(check->diag, DIAG_WARNING, file, check->first_ok, hint,
                    "OK does not permit relaying");
    } else if (check->oks > 1) {
        diag_report(check->diag, DIAG_WARNING, file, check->first_ok, hint,
                    "OK does not permit relaying (this line and %zu more)", check->oks - 1);
    }
}

static void check_rules(struct check *check)
{
    struct regex_view view;
    size_t at = 0;

    while (table_regex_next(check->table, &at, &view)) {
        check_rule(check, &view);
        arena_reset(check->arena);
    }
    report_oks(check);
    if (config_controls_relaying(check->config)) {
        find_open_relay(check);
    }
    table_regex_lint(check->table, check->diag);
}

void regex_check(const struct config *config, struct diag *diag)
{
    struct check check = {.config = config, .diag = diag};

    if (*config->regex == '\0') {
        return;
    }
    check.table = table_regex_open("regex", config->regex, &regex_patterns_dialect, diag);
    if (check.table != NULL) {
        check.arena = arena_new();
        check_rules(&check);
        arena_free(&check.arena);
    }
    table_regex_unref(&check.table);
}
