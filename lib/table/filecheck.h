/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * filecheck - a checksum of a whole map file, kept inside it: at the end of its header record.
 *
 * GDBM knows no checksums. A block that the disk lost would make its keys "not found", and a rule that is not found is mail
 * let in. The bytes of the checksum itself count as zeros.
 */
#ifndef POSTERN_LIB_TABLE_FILECHECK_H
#define POSTERN_LIB_TABLE_FILECHECK_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Looks for the bytes of `record` in the finished file, which ends in MAPHEADER_FILE_CHECK_ZERO, and writes the checksum
 * there. False: `why` says what went wrong.
 */
bool filecheck_seal(int fd, const char *record, size_t len, struct strbuf *why);

/* Has the file the checksum that stands in it at `offset`? False: `why` says why not. */
bool filecheck_holds(int fd, uint64_t check, uint64_t offset, struct strbuf *why);

#endif
