/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * privileges - becoming an ordinary user for good.
 */
#ifndef POSTERN_MILTER_PRIVILEGES_H
#define POSTERN_MILTER_PRIVILEGES_H

#include "lib/base/status.h"
#include "lib/base/strbuf.h"

#include <sys/types.h>

struct privileges {
    char *user; /* NULL: stay who we are */
    uid_t uid;
    gid_t gid;
};

/* Looks the user up if the process is root and `user` is not empty; else there is nothing to drop. */
enum status privileges_find(struct privileges *privileges, const char *user, struct strbuf *why);
void privileges_fini(struct privileges *privileges);

/* The id of a group, by name or number; `key` is what the configuration calls it. */
enum status privileges_find_group(const char *key, const char *name, gid_t *gid_out,
                                  struct strbuf *why);

/* Drops everything: groups, gid, uid, the right to gain any again. Checks that there is no way back. */
enum status privileges_drop(const struct privileges *privileges, struct strbuf *why);

#endif
