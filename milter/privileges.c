/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/privileges.h"
#include "lib/base/group_id.h"
#include "lib/base/xalloc.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum status privileges_find(struct privileges *privileges, const char *user, struct strbuf *why)
{
    *privileges = (struct privileges){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0 || user[0] == '\0') {
        return STATUS_OK;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(user);

    if (entry == NULL) {
        strbuf_appendf(why, "user = \"%s\": %s", user,
                       errno == 0 ? "there is no such user" : strerror(errno));
        return STATUS_INVALID;
    }
    privileges->user = xstrdup(user);
    privileges->uid = entry->pw_uid;
    privileges->gid = entry->pw_gid;
    return STATUS_OK;
}

void privileges_fini(struct privileges *privileges)
{
    free(privileges->user);
    privileges->user = NULL;
}

enum status privileges_find_group(const char *key, const char *name, gid_t *gid_out,
                                  struct strbuf *why)
{
    if (group_id_find(name, gid_out)) {
        return STATUS_OK;
    }
    int error = errno;

    strbuf_appendf(why, "%s = \"%s\": %s", key, name,
                   error == 0 ? "there is no such group" : strerror(error));
    return STATUS_INVALID;
}

/* The order matters: without uid 0 the groups could not be changed any more. */
static const char *change_ids(const struct privileges *privileges)
{
    uid_t uids[3];
    gid_t gids[3];

    if (initgroups(privileges->user, privileges->gid) != 0) {
        return "initgroups";
    }
    if (setresgid(privileges->gid, privileges->gid, privileges->gid) != 0) {
        return "setresgid";
    }
    if (setresuid(privileges->uid, privileges->uid, privileges->uid) != 0) {
        return "setresuid";
    }
    errno = 0;
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
        getresgid(&gids[0], &gids[1], &gids[2]) != 0) {
        return "getresuid";
    }
    for (int i = 0; i < 3; i++) {
        if (uids[i] != privileges->uid || gids[i] != privileges->gid) {
            return "the ids are not those of the user";
        }
    }
    if (privileges->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
        errno = 0;
        return "root could be regained";
    }
    return NULL;
}

enum status privileges_drop(const struct privileges *privileges, struct strbuf *why)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (privileges->user == NULL) {
        return STATUS_OK;
    }
    const char *failed = change_ids(privileges);

    if (failed == NULL) {
        return STATUS_OK;
    }
    strbuf_appendf(why, "cannot become user %s: %s%s%s", privileges->user, failed,
                   errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return STATUS_INVALID;
}
