/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file of patterns and a subject, with a NUL byte between them: what is read can be asked, what is not is explained, and the
 * prefilter changes nothing.
 */
#include "lib/table/table_regex.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_SIZE 64

static const char *const tags[] = {"Connect", "Helo", "From", "To", "Compat", NULL};
static const char *const client_words[] = {"local", "authenticated", "relay", NULL};
static const struct regex_keyword keywords[] = {{"missing", true, false},
                                                {"repeated", true, true},
                                                {"headers", false, true},
                                                {NULL, false, false}};

static bool check(const struct regex_result *result, struct diag *diag)
{
    FUZZ_REQUIRE(result->file != NULL && result->line > 0);
    FUZZ_REQUIRE(result->text != NULL && result->written != NULL);
    FUZZ_REQUIRE(result->varies || !result->verb_varies);
    if (strcmp(result->text, "BAD") == 0) {
        diag_report(diag, DIAG_ERROR, result->file, result->line, NULL, "bad");
        return false;
    }
    return true;
}

static const struct regex_dialect dialects[] = {
    {.tags = NULL},
    {.tags = tags, .untagged = 1u | 4u | 8u, .client = client_words, .named = true, .check = check},
    {.client = client_words, .keywords = keywords, .decoded = true, .check = check},
};

struct seen {
    unsigned errors;
};

static void require_explained(void *ctx, const struct diag_item *item)
{
    struct seen *seen = ctx;

    FUZZ_REQUIRE(item->file != NULL && item->text != NULL && item->text[0] != '\0');
    FUZZ_REQUIRE(item->line > 0);
    seen->errors += item->level == DIAG_ERROR;
}

static void require_match(const struct regex_match *match, const struct regex_query *query)
{
    FUZZ_REQUIRE(match->status == STATUS_OK || match->status == STATUS_NOTFOUND ||
                 match->status == STATUS_TEMPFAIL);
    if (match->status == STATUS_NOTFOUND) {
        return;
    }
    FUZZ_REQUIRE(match->place.line > 0 && match->place.written[0] != '\0');
    FUZZ_REQUIRE((match->status == STATUS_TEMPFAIL) == (match->why[0] != '\0'));
    FUZZ_REQUIRE(match->result != NULL);
    for (size_t i = 0; i < match->capture_count; i++) {
        const struct regex_capture *capture = &match->captures[i];

        FUZZ_REQUIRE(capture->len <= query->len || capture->len <= query->decoded_len);
        FUZZ_REQUIRE(capture->text != NULL || capture->len == 0);
    }
}

/* Asks with and without the prefilter; a pattern that is ruled out cannot fail, so only answers are compared. */
static void ask(const struct table_regex *table, struct regex_query *query)
{
    struct regex_match match;
    struct regex_match linear;

    query->linear = false;
    table_regex_find(table, query, &match);
    require_match(&match, query);
    query->linear = true;
    table_regex_find(table, query, &linear);
    require_match(&linear, query);
    if (match.status != STATUS_TEMPFAIL && linear.status != STATUS_TEMPFAIL) {
        FUZZ_REQUIRE(match.status == linear.status);
        FUZZ_REQUIRE(match.place.line == linear.place.line);
        FUZZ_REQUIRE(strcmp(match.result, linear.result) == 0);
    }
}

static void look_through(const struct table_regex *table, const char *subject, struct arena *arena)
{
    struct regex_view view;
    const char *value = NULL;
    size_t results = 0;
    size_t at = 0;

    while (table_regex_next(table, &at, &view)) {
        FUZZ_REQUIRE(view.place.line > 0 && view.place.written[0] != '\0');
        FUZZ_REQUIRE((view.kind == REGEX_IF) == (view.result == NULL));
        results += view.result != NULL;
    }
    FUZZ_REQUIRE(results == table_regex_count(table));
    for (at = 0; table_regex_next_keyword(table, 1, &at, &view);) {
        FUZZ_REQUIRE(view.keyword != NULL && (view.name != NULL) == view.keyword->name);
    }
    if (table_regex_named(table, "a", subject, strlen(subject), arena, &value) == STATUS_OK) {
        FUZZ_REQUIRE(value != NULL);
    }
}

static struct table_regex *open_text(const uint8_t *text, size_t len,
                                     const struct regex_dialect *dialect, struct diag *diag)
{
    char path[PATH_SIZE];
    int fd = memfd_create("regex", MFD_CLOEXEC);

    FUZZ_REQUIRE(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct table_regex *table = table_regex_open("regex", path, dialect, diag);

    close(fd);
    FUZZ_REQUIRE(table != NULL);
    return table;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size == 0 ? NULL : memchr(data, '\0', size);
    size_t len = nul == NULL ? size : (size_t)(nul - data);
    const uint8_t *rest = nul == NULL ? data : nul + 1;
    size_t rest_len = nul == NULL ? size : size - len - 1;
    struct arena *arena = arena_new();
    char *subject = arena_strndup(arena, (const char *)rest, rest_len);

    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        struct seen seen = {0};
        struct diag diag;

        diag_init(&diag, require_explained, &seen);
        struct table_regex *table = open_text(data, len, &dialects[i], &diag);
        struct regex_query query = {.client = 1,
                                    .subject = subject,
                                    .len = rest_len,
                                    .decoded = subject + rest_len / 2,
                                    .decoded_len = rest_len - rest_len / 2,
                                    .arena = arena};

        for (query.tag = 1; query.tag < 32; query.tag *= 2) {
            ask(table, &query);
        }
        look_through(table, subject, arena);
        table_regex_lint(table, &diag);
        FUZZ_REQUIRE(seen.errors == diag.errors);
        table_regex_unref(&table);
    }
    arena_free(&arena);
    return 0;
}
