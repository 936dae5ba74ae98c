/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regex_template - the `$1`, `${1}`, `$(1)` and `$$` of a result, cut as Postfix cuts them.
 */
#ifndef POSTERN_LIB_TABLE_REGEX_TEMPLATE_H
#define POSTERN_LIB_TABLE_REGEX_TEMPLATE_H

#include "lib/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct regex_piece {
    const char *text; /* in the template; of a name without what is around it. Or why it is wrong */
    size_t len;
    bool is_name;
};

/*
 * The next piece of a template, and *at behind it. STATUS_NOTFOUND: that was all. STATUS_INVALID: it is wrong; piece_out->text says
 * why.
 */
enum status regex_template_next(const char **at, struct regex_piece *piece_out);

/* The number that a name is; false: it is no number, or 0. Those beyond all reason become a large one. */
bool regex_template_number(const struct regex_piece *piece, unsigned *number_out);

#endif
