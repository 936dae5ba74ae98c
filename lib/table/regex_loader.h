/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_loader - makes the rules of a table of patterns from its text.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_LOADER_H
#define POSTERN_LIB_TABLE_REGEX_LOADER_H

#include "lib/table/regex_rules.h"

/* Reads all rules from `fd` into the table, which has none yet. What is wrong is reported and left out. False: reading failed (reported). */
bool regex_loader_run(struct table_regex *table, int fd, struct diag *diag);

#endif
