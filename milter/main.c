/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * postern - the daemon: options, and the check of the configuration.
 */
#include "lib/base/xalloc.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/start_check.h"
#include "lib/table/table.h"
#include "milter/daemon.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int usage(FILE *stream)
{
    (void)fputs("usage: postern [-c FILE] [-f | -d | -t | -V]\n"
                "  -c FILE  the configuration instead of the default\n"
                "  -f       stay in the foreground and log to standard error\n"
                "  -d       go to the background, with a pid file\n"
                "  -t       check the configuration and exit\n"
                "  -V       print the version and exit\n",
                stream);
    return stream == stderr ? 2 : 0;
}

/* The daemon starts without its compiled maps and answers 451; who asks whether all is well must hear that it is not. */
static bool is_usable(const struct table *table)
{
    return table == NULL || table_failure(table) == NULL;
}

static int check(const char *path)
{
    struct diag diag;
    bool maps = true;

    diag_init(&diag, diag_to_stream, stderr);
    struct ruleset *ruleset = ruleset_load(path, &diag);

    if (ruleset != NULL) {
        start_check(ruleset_config(ruleset), geteuid() == 0, &diag);
        maps = is_usable(ruleset_access(ruleset)) && is_usable(ruleset_spammers(ruleset));
    }
    ruleset_unref(&ruleset);
    if (diag.errors > 0) {
        (void)fprintf(stderr, "postern: %s: %zu error%s\n", path, diag.errors,
                      diag.errors == 1 ? "" : "s");
    } else if (!maps) {
        (void)fprintf(stderr, "postern: %s: a map cannot be used\n", path);
    } else {
        (void)printf("%s: no errors\n", path);
    }
    return diag.errors == 0 && maps ? 0 : 1;
}

/* Started with -d, the daemon leaves its folder, and reads the file again at each reload. */
static char *absolute_path(const char *path)
{
    char *folder = path[0] == '/' ? NULL : realpath(".", NULL);

    if (folder == NULL) {
        return xstrdup(path);
    }
    size_t size = strlen(folder) + strlen(path) + 2;
    char *joined = xmalloc(size);

    (void)snprintf(joined, size, "%s/%s", folder, path);
    free(folder);
    return joined;
}

/*
 * glibc gives threads up to eight arenas a processor, between which what one thread frees and another could use is scattered. What is
 * allocated for a message lives in an arena of its session or in a pool, so threads can share a few.
 */
static void limit_arenas(void)
{
#ifdef M_ARENA_MAX
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    (void)mallopt(M_ARENA_MAX, processors > 0 && processors < INT_MAX ? (int)processors : 1);
#endif
}

int main(int argc, char **argv)
{
    struct daemon_options options = {.config_path = config_default_path()};
    bool only_check = false;
    int option;

    while ((option = getopt(argc, argv, "c:fdtVh")) != -1) {
        switch (option) {
        case 'c':
            options.config_path = optarg;
            break;
        case 'f':
            options.foreground = true;
            break;
        case 'd':
            options.background = true;
            break;
        case 't':
            only_check = true;
            break;
        case 'V':
            (void)printf("postern %s\n", PACKAGE_VERSION);
            return 0;
        case 'h':
            return usage(stdout);
        default:
            return usage(stderr);
        }
    }
    if (optind < argc || (options.foreground && options.background)) {
        return usage(stderr);
    }
    (void)umask(077);
    limit_arenas();
    char *path = absolute_path(options.config_path);

    options.config_path = path;
    int result = only_check ? check(path) : daemon_run(&options);

    free(path);
    return result;
}
