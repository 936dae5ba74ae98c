/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Loaded into the tests' Dovecot, which was unpacked and not installed: the one folder whose path is compiled in is looked for
 * where the packages were unpacked (TEST_DOVECOT_ROOT).
 */

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPILED_IN "/usr/lib/dovecot/"
#define PATH_SIZE 4096

static const char *there(const char *path, char buf[PATH_SIZE])
{
    const char *root = getenv("TEST_DOVECOT_ROOT");

    if (!path || !root || strncmp(path, COMPILED_IN, strlen(COMPILED_IN)) != 0)
        return path;
    snprintf(buf, PATH_SIZE, "%s%s", root, path);
    return buf;
}

DIR *opendir(const char *path)
{
    DIR *(*next)(const char *) = dlsym(RTLD_NEXT, "opendir");
    char buf[PATH_SIZE];

    return next(there(path, buf));
}

void *dlopen(const char *path, int flags)
{
    void *(*next)(const char *, int) = dlsym(RTLD_NEXT, "dlopen");
    char buf[PATH_SIZE];

    return next(there(path, buf), flags);
}
