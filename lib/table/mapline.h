/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapline - one line of a map's text, cut into key and right-hand side as Sendmail's makemap does.
 */
#ifndef POSTERN_LIB_TABLE_MAPLINE_H
#define POSTERN_LIB_TABLE_MAPLINE_H

#include "lib/table/mapfile.h"
#include "lib/table/mapheader.h"

struct mapfile_prefixes {
    struct mapheader_lengths ipv4;
    struct mapheader_lengths ipv6;
};

/*
 * Cuts `text` and sets key and value of `line`; file, number and diag are set already. `default_value`: of a line
 * that is a key alone, or NULL. False: the line is empty or a comment, or wrong and reported.
 */
bool mapline_split(char *text, size_t len, const char *default_value, struct mapfile_line *line);

#endif
