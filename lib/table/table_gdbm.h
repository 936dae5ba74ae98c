/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table_gdbm - a compiled map (see mapfile), for many threads at once.
 *
 * The map is the file that had the name at table_gdbm_open(): one that is renamed over it later is another table. What
 * the file holds is not trusted: a map that is broken, cut off or of another version fails at open or answers
 * STATUS_TEMPFAIL. Keys that are not in the map cost no file access but for a few in a thousand.
 */
#ifndef POSTERN_LIB_TABLE_TABLE_GDBM_H
#define POSTERN_LIB_TABLE_TABLE_GDBM_H

#include "lib/base/strbuf.h"
#include "lib/table/mapheader.h"
#include "lib/table/table.h"

#include <sys/stat.h>

/*
 * Opens the map at `map_path`, made from the text `source_path`. NULL on failure; then `why` says what is wrong and what
 * to do ("/etc/postern/access.gdbm: No such file or directory"). The caller may go on with a table_fail.
 */
struct table *table_gdbm_open(const char *name, const char *map_path, const char *source_path,
                              struct strbuf *why);

/* Like table_gdbm_open(), and tells which file it is (device, inode, time): for whoever watches for a new one. */
struct table *table_gdbm_open_stat(const char *name, const char *map_path, const char *source_path,
                                   struct stat *stat_out, struct strbuf *why);

/* Reads what a map says of itself. Free with mapheader_fini(). On failure nothing is to be freed, and `why` is told. */
enum status table_gdbm_read_header(const char *map_path, struct mapheader *header_out,
                                   struct strbuf *why);

#endif
