/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/regex_kit.h"

#include <string.h>

static const char *const tags[] = {"Connect", "Helo", "From", "To", NULL};
static const char *const client_words[] = {"local", "relay", NULL};
static const struct regex_keyword keywords[] = {{"missing", true, false},
                                                {"repeated", true, true},
                                                {"headers", false, true},
                                                {NULL, false, false}};

/* Takes all but "BAD"; tells what it was given. */
static bool check(const struct regex_result *result, struct diag *diag)
{
    if (strncmp(result->text, "BAD", 3) != 0) {
        return true;
    }
    diag_report(diag, DIAG_ERROR, result->file, result->line, NULL, "bad: %s|%s|%u%s%s%s",
                result->text, result->written, result->tags,
                result->keyword == NULL ? "" : " keyword", result->varies ? " varies" : "",
                result->verb_varies ? " verb" : "");
    return false;
}

const struct regex_dialect regex_kit_tagged = {.tags = tags,
                                               .untagged = CONNECT | FROM | TO,
                                               .client = client_words,
                                               .named = true,
                                               .check = check};
const struct regex_dialect regex_kit_headers = {
    .client = client_words, .keywords = keywords, .decoded = true, .check = check};

struct table_regex *regex_kit_open(struct kit *kit, const struct regex_dialect *dialect,
                                   const char *text)
{
    kit_write(kit->text, text, strlen(text));
    strbuf_reset(&kit->messages);
    struct table_regex *table = table_regex_open("regex", kit->text, dialect, &kit->diag);

    assert_non_null(table);
    return table;
}

const char *regex_kit_find(struct kit *kit, const struct table_regex *table, unsigned tag,
                           const char *subject, struct regex_match *match_out)
{
    struct regex_query query = {
        .tag = tag, .subject = subject, .len = strlen(subject), .arena = kit->arena};

    table_regex_find(table, &query, match_out);
    return match_out->status == STATUS_OK         ? match_out->result
           : match_out->status == STATUS_NOTFOUND ? NULL
                                                  : "!";
}

void regex_kit_expect(struct kit *kit, const struct table_regex *table, unsigned tag,
                      const struct expectation *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct regex_match match;
        const char *result = regex_kit_find(kit, table, tag, cases[i].subject, &match);

        if ((result == NULL) != (cases[i].result == NULL) ||
            (result != NULL && strcmp(result, cases[i].result) != 0)) {
            fail_msg("\"%s\" gives \"%s\", not \"%s\"", cases[i].subject,
                     result == NULL ? "(nothing)" : result,
                     cases[i].result == NULL ? "(nothing)" : cases[i].result);
        }
    }
}
