/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * query_patterns - posternctl query of a file of patterns: regex, header_checks, mime_header_checks, pcre:FILE.
 *
 * As tolerant as postmap: a line that is wrong is told, and the others answer.
 */
#ifndef POSTERN_CTL_QUERY_PATTERNS_H
#define POSTERN_CTL_QUERY_PATTERNS_H

#include "ctl/ctl.h"

#include <stdbool.h>

/* Is it the name of such a table? */
bool query_patterns_is(const char *name);

/* Asks for the key, or with "-" for each line of standard input, and prints what is found; returns an enum ctl_exit. */
int query_patterns(const struct ctl *ctl, struct ctl_problems *problems, const char *name,
                   const char *key);

#endif
