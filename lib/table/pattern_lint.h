/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pattern_lint - will a pattern take exponential time for some subject?
 *
 * The classic mistake is a repetition inside a repetition that can share the same text in many ways: (a+)+, (\w+\s*)*, (a|a)*.
 */
#ifndef POSTERN_LIB_TABLE_PATTERN_LINT_H
#define POSTERN_LIB_TABLE_PATTERN_LINT_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * True: it may explode; `why` gets which part of it ("(a+)+ can match the same text in many ways"). `flags` are those of pattern_compile(), which
 * the pattern passed before. False: nothing known is wrong with it.
 */
bool pattern_lint(const char *text, size_t len, unsigned flags, struct strbuf *why);

#endif
