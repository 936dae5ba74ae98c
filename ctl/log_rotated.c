/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/log_rotated.h"

#include "lib/base/xalloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FOUND 500u
#define MAX_PASSES 20u
#define SHORT_NUMBER 5u /* digits; more are a date */
#define SECOND_NS INT64_C(1000000000)

/* `.1`, `-20261122`, `.2026-11-22T10`: returns its end, or NULL. */
static const char *skip_number(const char *text)
{
    if ((*text != '.' && *text != '-') || text[1] < '0' || text[1] > '9') {
        return NULL;
    }
    text++;
    while ((*text >= '0' && *text <= '9') || *text == '-' || *text == '_' || *text == 'T' ||
           *text == ':') {
        text++;
    }
    return text;
}

bool log_rotated_is_name(const char *log, const char *name)
{
    size_t len = strlen(log);
    const char *dot = strrchr(log, '.');
    size_t stem = dot != NULL && dot != log ? (size_t)(dot - log) : len;
    const char *end;

    if (strncmp(log, name, len) == 0 && (end = skip_number(name + len)) != NULL && *end == '\0') {
        return true;
    }
    return stem < len && strncmp(log, name, stem) == 0 &&
           (end = skip_number(name + stem)) != NULL && strcmp(end, dot) == 0;
}

static int64_t nanoseconds(struct statx_timestamp time)
{
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

bool log_rotated_identify(int fd, struct log_rotated *found_out)
{
    struct statx stx;
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        statx(fd, "", AT_EMPTY_PATH, STATX_MTIME | STATX_BTIME, &stx) != 0) {
        return false;
    }
    found_out->fd = fd;
    found_out->dev = st.st_dev;
    found_out->ino = st.st_ino;
    found_out->size = st.st_size;
    found_out->born_ns = nanoseconds((stx.stx_mask & STATX_BTIME) != 0 ? stx.stx_btime
                                                                       : stx.stx_mtime);
    return true;
}

/* The number in `.12`; 0: there is none, or a date. */
static unsigned long short_number(const char *name)
{
    const char *end = name + strlen(name);
    const char *digits = end;

    while (digits > name && digits[-1] >= '0' && digits[-1] <= '9') {
        digits--;
    }
    return (size_t)(end - digits) <= SHORT_NUMBER ? strtoul(digits, NULL, 10) : 0;
}

static int compare(const void *a, const void *b)
{
    const struct log_rotated *first = a;
    const struct log_rotated *second = b;

    if (first->born_ns != second->born_ns) {
        return first->born_ns < second->born_ns ? -1 : 1;
    }
    unsigned long first_number = short_number(first->name);
    unsigned long second_number = short_number(second->name);

    if (first_number != second_number) {
        return first_number > second_number ? -1 : 1;
    }
    return strcmp(first->name, second->name);
}

/* What was found so far. */
struct search {
    const char *log;
    int64_t born_ns;
    struct log_rotated *found;
    size_t count;
};

/* The one that is this file; NULL: it was not found yet. */
static struct log_rotated *find_known(const struct search *search, const struct log_rotated *one)
{
    for (size_t i = 0; i < search->count; i++) {
        if (search->found[i].dev == one->dev && search->found[i].ino == one->ino) {
            return &search->found[i];
        }
    }
    return NULL;
}

/* Takes the file with this name, unless it is none that is looked for. */
static void take(struct search *search, int folder_fd, const char *name)
{
    struct log_rotated one;
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

    if (fd < 0) {
        return;
    }
    if (!log_rotated_identify(fd, &one) || one.born_ns < search->born_ns) {
        (void)close(fd);
        return;
    }
    struct log_rotated *place = find_known(search, &one);

    if (place != NULL) {
        (void)close(place->fd);
    } else {
        search->found = xrealloc(search->found, (search->count + 1) * sizeof(one));
        place = &search->found[search->count++];
    }
    *place = one;
    (void)snprintf(place->name, sizeof(place->name), "%s", name);
}

static void read_folder(struct search *search, const char *folder)
{
    DIR *open_folder = opendir(folder);
    const struct dirent *item;

    while (open_folder != NULL && search->count < MAX_FOUND &&
           (item = readdir(open_folder)) != NULL) {
        if (log_rotated_is_name(search->log, item->d_name)) {
            take(search, dirfd(open_folder), item->d_name);
        }
    }
    if (open_folder != NULL) {
        (void)closedir(open_folder);
    }
}

/* Did a name in the folder change since the last call? */
static bool has_changed(int inotify)
{
    char events[4096];
    bool changed = false;

    while (read(inotify, events, sizeof(events)) > 0) {
        changed = true;
    }
    return changed;
}

/*
 * A file that gets another name while its folder is read may be seen under neither: then the folder is read once more; if nothing tells of
 * names that change, until nothing new is found. What was found and is gone meanwhile is still what the log was.
 */
size_t log_rotated_find(const char *folder, const char *log, int64_t born_ns,
                        struct log_rotated **found_out)
{
    struct search search = {.log = log, .born_ns = born_ns};
    int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (inotify >= 0 &&
        inotify_add_watch(inotify, folder, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
        (void)close(inotify);
        inotify = -1;
    }
    for (unsigned pass = 0; pass < MAX_PASSES; pass++) {
        size_t before = search.count;

        read_folder(&search, folder);
        if (inotify >= 0 ? !has_changed(inotify) : search.count == before) {
            break;
        }
    }
    if (inotify >= 0) {
        (void)close(inotify);
    }
    if (search.count > 0) {
        qsort(search.found, search.count, sizeof(*search.found), compare);
    }
    *found_out = search.found;
    return search.count;
}

void log_rotated_free(struct log_rotated *found, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (found[i].fd >= 0) {
            (void)close(found[i].fd);
        }
    }
    free(found);
}
