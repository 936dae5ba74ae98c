/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/log_rotated.h"

#include "lib/base/xalloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FOUND 500u
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

size_t log_rotated_find(const char *folder, const char *log, int64_t born_ns,
                        struct log_rotated **found_out)
{
    DIR *open_folder = opendir(folder);
    struct log_rotated *found = NULL;
    const struct dirent *item;
    size_t count = 0;

    while (open_folder != NULL && count < MAX_FOUND && (item = readdir(open_folder)) != NULL) {
        struct log_rotated one;

        if (!log_rotated_is_name(log, item->d_name)) {
            continue;
        }
        int fd = openat(dirfd(open_folder), item->d_name,
                        O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

        if (fd < 0 || !log_rotated_identify(fd, &one) || one.born_ns < born_ns) {
            if (fd >= 0) {
                (void)close(fd);
            }
            continue;
        }
        (void)snprintf(one.name, sizeof(one.name), "%s", item->d_name);
        found = xrealloc(found, (count + 1) * sizeof(*found));
        found[count++] = one;
    }
    if (open_folder != NULL) {
        (void)closedir(open_folder);
    }
    if (count > 0) {
        qsort(found, count, sizeof(*found), compare);
    }
    *found_out = found;
    return count;
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
