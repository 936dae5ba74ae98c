/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_search - asks the rules of a table in their order: what table_regex_find() does.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_SEARCH_H
#define POSTERN_LIB_TABLE_REGEX_SEARCH_H

#include "lib/table/regex_rules.h"

/* See table_regex_find(). */
void regex_search(const struct table_regex *table, const struct regex_query *query,
                  struct regex_match *match_out);

#endif
