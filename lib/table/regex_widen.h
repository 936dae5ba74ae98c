/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_widen - a tree (regex_tree.h) as an expression that hyperscan compiles quickly.
 *
 * The expression matches all that the tree matches; to be matched as bytes, without flags that change what it matches. Large repetitions
 * become unlimited ones, for these cost hyperscan the most.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_WIDEN_H
#define POSTERN_LIB_TABLE_REGEX_WIDEN_H

#include "lib/base/strbuf.h"
#include "lib/table/regex_tree.h"

#include <stdbool.h>

/*
 * Appends the expression. False: it would be too long, or would match every subject, so that it is not worth having; what was
 * appended is of no use then.
 */
bool regex_widen(const struct regex_node *tree, struct strbuf *expression);

#endif
