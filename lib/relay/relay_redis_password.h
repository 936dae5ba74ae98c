/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_password - the file with the password of a Redis server: its first line.
 *
 * Such a file is private: it must be a regular file that neither everybody may read nor anybody but its owner may write.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_PASSWORD_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_PASSWORD_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <sys/stat.h>

#define RELAY_REDIS_PASSWORD_MAX 1024u

/* What is wrong with type and mode of such a file; NULL: nothing. */
const char *relay_redis_password_fault(const struct stat *stat);

/* Reads the password. False: `why` says what is wrong, with the name of the file. Erase what you got: relay_redis_password_erase(). */
bool relay_redis_password_read(const char *path, struct strbuf *password_out, struct strbuf *why);

/* Overwrites and empties a text in which a password was. */
void relay_redis_password_erase(struct strbuf *text);

#endif
