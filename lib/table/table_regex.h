/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table_regex - the rules of one file of patterns, asked in their order.
 *
 * A table is immutable once open and shared by all threads; it is counted. What its lines may hold says regex_text.h.
 */
#ifndef POSTERN_LIB_TABLE_TABLE_REGEX_H
#define POSTERN_LIB_TABLE_TABLE_REGEX_H

#include "lib/base/arena.h"
#include "lib/base/diag.h"
#include "lib/base/status.h"
#include "lib/table/regex_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefilter;
struct table_regex;

/*
 * Reads the file; `name` is the one in traces and logs. Each error goes to `diag` with its line, and that line is left out, so a table comes
 * back whatever the file holds: a caller that accepts no errors compares diag->errors before and after. NULL: the file cannot
 * be read (reported).
 */
struct table_regex *table_regex_open(const char *name, const char *path,
                                     const struct regex_dialect *dialect, struct diag *diag);

struct table_regex *table_regex_ref(struct table_regex *table);
void table_regex_unref(
    struct table_regex **table); /* sets the caller's pointer to NULL; NULL is legal */

const char *table_regex_name(const struct table_regex *table);
const char *table_regex_file(const struct table_regex *table);

/* Rules with a result, keyword rules included. */
size_t table_regex_count(const struct table_regex *table);

/* Bits of the client words that any `if client` of the file names; 0: none. */
unsigned table_regex_client_words(const struct table_regex *table);

/* One line for a log at load, or NULL: why patterns are slower here than they could be (no machine code). */
const char *table_regex_notice(const struct table_regex *table);

/*
 * Has what makes large tables fast compiled in the background; for a daemon, once for each table, by one thread. Without it all matches the
 * same, more slowly. The prefilter is for its numbers (prefilter_stats).
 */
void table_regex_prepare(struct table_regex *table);
struct prefilter *table_regex_prefilter(const struct table_regex *table);

/* Warns of what is legal but surely not meant: patterns that may explode, rules that can never be reached. For `check`. */
void table_regex_lint(const struct table_regex *table, struct diag *diag);

/* ---- asking ---- */

struct regex_capture {
    const char *text; /* in the arena of the query; NULL: the group took no part */
    size_t len;
};

/* Which rule something is about. The strings live as long as the table. */
struct regex_place {
    const char *file;
    unsigned line;
    const char
        *written; /* the left-hand side: "From:/^[0-9]+@/i", "if !/x/", "From: local~digits" */
};

/* Who wants to see each pattern that was asked (explain). Embed it as the first member of what the function needs. */
struct regex_observer {
    /* `result`: STATUS_OK: the line's test holds (a negated one: its pattern does not match), STATUS_NOTFOUND: not, STATUS_TEMPFAIL. */
    void (*asked)(struct regex_observer *observer, const struct regex_place *place,
                  enum status result);
};

struct regex_query {
    unsigned tag;    /* one bit of the dialect's tags; 0 in a dialect without */
    unsigned client; /* bits of the dialect's client words that hold */
    const char *subject;
    size_t len;
    const char *decoded; /* for the flag D; NULL: the same as subject */
    size_t decoded_len;
    struct arena *arena;             /* what is found lives there */
    struct regex_observer *observer; /* NULL: nobody */
    /* CPU time of slow matches; several queries can share it (those of one message). NULL: each query has its own. */
    uint64_t *spent_ns;
    bool linear; /* ask each pattern, without the prefilter: the same result, more slowly */
};

struct regex_match {
    enum status
        status; /* OK, NOTFOUND, TEMPFAIL: a limit was reached at `place`, and `why` says which */
    struct regex_place place; /* the rule that matched or failed */
    const char *result;       /* the right-hand side, $n expanded; may be empty */
    const char *why;
    const struct regex_capture
        *captures; /* [0] is all that matched; none for a negated rule or for conditions */
    size_t capture_count;
};

/* The first rule that matches. Safe for threads. */
void table_regex_find(const struct table_regex *table, const struct regex_query *query,
                      struct regex_match *match_out);

/*
 * Asks the named pattern (a K line) as Sendmail's map would be. STATUS_OK: *value_out is what the map gives, in the arena. STATUS_NOTFOUND:
 * no match. STATUS_TEMPFAIL: a limit; *value_out says which. STATUS_INVALID: there is no such name.
 */
enum status table_regex_named(const struct table_regex *table, const char *name,
                              const char *subject, size_t len, struct arena *arena,
                              const char **value_out);

/* ---- looking through the rules ---- */

struct regex_view {
    struct regex_place place;
    enum regex_kind kind; /* REGEX_MATCH, REGEX_IF or REGEX_KEYWORD */
    unsigned
        tags; /* that it is asked for, all that is around it counted in; 0 in a dialect without tags */
    bool negated;
    bool decoded;
    const char *pattern;                 /* NULL: conditions, or a keyword */
    const struct regex_keyword *keyword; /* NULL: not one */
    const char *name;                    /* of the keyword's header */
    unsigned long value;                 /* of the keyword */
    const char *result;                  /* as written; NULL for an `if` */
};

/*
 * The rule at or behind *at, and *at behind it; begin with 0. False: no more. Strings live as long as the table.
 */
bool table_regex_next(const struct table_regex *table, size_t *at, struct regex_view *view_out);

/* The same, but only keyword rules that a client of these bits is asked for. */
bool table_regex_next_keyword(const struct table_regex *table, unsigned client, size_t *at,
                              struct regex_view *view_out);

#endif
