/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table_fail - a table that could not be opened: every lookup is STATUS_TEMPFAIL.
 *
 * It stands where the real one should, so that what cannot be asked is never taken for an empty table.
 */
#ifndef POSTERN_LIB_TABLE_TABLE_FAIL_H
#define POSTERN_LIB_TABLE_TABLE_FAIL_H

#include "lib/table/table.h"

/* `reason` is what table_failure() will say. */
struct table *table_fail_new(const char *name, const char *source, const char *reason);

#endif
