/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * group_id - groups of the system, as a configuration names them.
 */
#ifndef POSTERN_LIB_BASE_GROUP_ID_H
#define POSTERN_LIB_BASE_GROUP_ID_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * The id of a group, by name or number. False if there is none: errno says why, and is 0 if the system has no such group. Not for
 * programs with threads: getgrnam(3).
 */
bool group_id_find(const char *name, gid_t *gid_out);

#endif
