/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/group_id.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>

bool group_id_find(const char *name, gid_t *gid_out)
{
    errno = 0;
    const struct group *entry = getgrnam(name);
    int error = errno;
    char *end = NULL;

    if (entry != NULL) {
        *gid_out = entry->gr_gid;
        return true;
    }
    unsigned long number = strtoul(name, &end, 10);

    errno = error;
    *gid_out = (gid_t)number;
    return name[0] >= '0' && name[0] <= '9' && *end == '\0' && number < (gid_t)-1;
}
