/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table_list - a set of names: Sendmail's classes, one name a line.
 *
 * `#` begins a comment, blanks around a name do not count, names are folded to lower case. Addresses and networks are
 * kept in the one form that netaddr_format() writes (also inside brackets), so a lookup finds `IPv6:2001:db8::1` however
 * it was written. The value of each name is the name itself, with its line.
 */
#ifndef POSTERN_LIB_TABLE_TABLE_LIST_H
#define POSTERN_LIB_TABLE_TABLE_LIST_H

#include "lib/base/diag.h"
#include "lib/base/strbuf.h"
#include "lib/table/table.h"

/* Reads the file. Every error goes to `diag`; NULL if there was one, also if the file cannot be read. */
struct table *table_list_open(const char *name, const char *path, struct diag *diag);

/*
 * A list of `count` names that stand in `file` (postern.conf). Errors name that file, without a line. NULL if there was one.
 */
struct table *table_list_new(const char *name, const char *file, char *const *names, size_t count,
                             struct diag *diag);

/* Brings a name into the form that a list keeps, for a lookup of what a person typed. */
void table_list_key(struct strbuf *name);

#endif
