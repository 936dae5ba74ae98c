/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log_place - the places up to which the files of a log were read, as a text that outlives the program.
 *
 *     postern-watch 1
 *     log /var/log/mail.log
 *     at 1763800000
 *     file DEVICE INODE OFFSET SEEN HEAD HASH
 *
 * A file is known again by device, inode and the hash of its first HEAD bytes, whatever its name is now.
 */
#ifndef POSTERN_CTL_LOG_PLACE_H
#define POSTERN_CTL_LOG_PLACE_H

#include "ctl/log_files.h"
#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

/* `at`: when all was read that was there, Unix time. */
void log_place_save(const struct log_files *files, const char *log, int64_t at, struct strbuf *out);

/*
 * Opens the files of such a text, where they are now, and adds them: those that are still there, or the copies of those that were cut off. *at_out is
 * as above, *seen_at_out when the last of them had the name of the log. False, and nothing is added: the text is none, or one of another log.
 */
bool log_place_restore(struct log_files *files, const char *text, const char *log, int64_t *at_out,
                       int64_t *seen_at_out);

#endif
