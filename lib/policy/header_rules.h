/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * header_rules - the files header_checks and mime_header_checks: postern-header_checks(5).
 *
 * Read with the configuration and immutable after that. What they say of a message decides message_headers.
 */
#ifndef POSTERN_LIB_POLICY_HEADER_RULES_H
#define POSTERN_LIB_POLICY_HEADER_RULES_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"
#include "lib/policy/ruleset.h"
#include "lib/table/table_regex.h"

#include <stdbool.h>
#include <stddef.h>

struct header_rules;

/* What the files may hold; the second one has no lines about the header as a whole. */
extern const struct regex_dialect header_rules_dialect;
extern const struct regex_dialect header_rules_mime_dialect;

/*
 * Reads the files that the configuration names. NULL if there was an error, told to `diag`. Without such files the object holds
 * none and costs nothing.
 */
struct header_rules *header_rules_load(const struct config *config, struct diag *diag);
void header_rules_free(struct header_rules **rules);

/* The tables; NULL: that file is not configured, or holds no rule. Both may be the same. */
const struct table_regex *header_rules_own(const struct header_rules *rules);
const struct table_regex *header_rules_mime(const struct header_rules *rules);

/*
 * Is mime_header_checks configured, perhaps with a file that holds no rule? Then the MIME headers of the message itself are
 * asked for there, and nowhere else.
 */
bool header_rules_have_mime(const struct header_rules *rules);

/* The tables that there are, each once; returns how many. */
size_t header_rules_tables(const struct header_rules *rules, struct table_regex *tables_out[2]);

/* What of the client rules depend on: bits of enum client_fact. */
unsigned header_rules_client(const struct header_rules *rules);

/* Adds what the MTA must give and allow for these rules. */
void header_rules_needs(const struct header_rules *rules, struct ruleset_needs *needs);

/* What a rule about the header as a whole asks. */
enum header_rules_keyword {
    HEADER_RULES_MISSING,  /* there is no field of that name */
    HEADER_RULES_REPEATED, /* there are more than N of that name */
    HEADER_RULES_HEADERS,  /* there are more than N fields */
    HEADER_RULES_BYTES,    /* they have more than N bytes */
};
enum header_rules_keyword header_rules_keyword_of(const struct regex_view *view);

/* These rules, in order, for a client of whom `client` holds (enum client_fact). */
const struct regex_view *header_rules_keywords(const struct header_rules *rules, unsigned client,
                                               size_t *count_out);

/* The names that any of them asks for, perhaps more than once; the last one is NULL. */
const char *const *header_rules_names(const struct header_rules *rules);

/* Warns of rules that are right and cannot do what was surely meant by them: for `posternctl check`. */
void header_rules_lint(const struct header_rules *rules, struct diag *diag);

#endif
