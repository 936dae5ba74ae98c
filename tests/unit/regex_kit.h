/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_kit - what the tests of table_regex share: dialects, tables of a text, and what their subjects find.
 */
#ifndef POSTERN_TESTS_UNIT_REGEX_KIT_H
#define POSTERN_TESTS_UNIT_REGEX_KIT_H

#include "tests/unit/table_kit.h"

#include "lib/table/table_regex.h"

enum tag { CONNECT = 1u << 0, HELO = 1u << 1, FROM = 1u << 2, TO = 1u << 3 };
enum client { LOCAL = 1u << 0, RELAY = 1u << 1 };

/*
 * With tags, clients and named patterns; and with clients, keywords (missing NAME, repeated NAME N, headers N) and the flag D. A
 * result that begins with BAD is refused with a message of all that the check was given.
 */
extern const struct regex_dialect regex_kit_tagged;
extern const struct regex_dialect regex_kit_headers;

/* The table of the text; what is wrong with it stands in kit->messages. */
struct table_regex *regex_kit_open(struct kit *kit, const struct regex_dialect *dialect,
                                   const char *text);

/* The result, "!" for a failure, NULL for none. */
const char *regex_kit_find(struct kit *kit, const struct table_regex *table, unsigned tag,
                           const char *subject, struct regex_match *match_out);

struct expectation {
    const char *subject;
    const char *result; /* NULL: nothing is found */
};

/* Stops the test at the first subject that finds something else. */
void regex_kit_expect(struct kit *kit, const struct table_regex *table, unsigned tag,
                      const struct expectation *cases, size_t count);

#endif
