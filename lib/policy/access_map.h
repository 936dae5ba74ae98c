/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * access_map - what a line of the access file may be: Sendmail's tags, keys and right-hand sides.
 */
#ifndef POSTERN_LIB_POLICY_ACCESS_MAP_H
#define POSTERN_LIB_POLICY_ACCESS_MAP_H

#include "lib/table/mapfile.h"

/*
 * postern-access(5). Values that Sendmail would send to clients as an accidental text, and keys that can never match,
 * are refused with a hint. Networks are stored under their one canonical key.
 */
extern const struct mapfile_format access_map_format;

/*
 * postern.conf's spammers: one envelope sender a line, `user@host` or `host`; a right-hand side in Sendmail's dialect
 * may follow, REJECT if not.
 */
extern const struct mapfile_format spammers_map_format;

#endif
