/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * textfile - a rule file, opened so that it cannot hold up who reads it.
 */
#ifndef POSTERN_LIB_TABLE_TEXTFILE_H
#define POSTERN_LIB_TABLE_TEXTFILE_H

#include "lib/base/diag.h"

/*
 * A descriptor to read `path`, which must be an ordinary file: a pipe or device under that name could make a reload wait for ever. -1: it
 * cannot be opened, and `diag` was told why.
 */
int textfile_open(const char *path, struct diag *diag);

#endif
