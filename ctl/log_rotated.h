/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log_rotated - the files that a log became when it was rotated: mail.log.1, mail.log-20261122, mail-20261122.log beside mail.log.
 */
#ifndef POSTERN_CTL_LOG_ROTATED_H
#define POSTERN_CTL_LOG_ROTATED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_ROTATED_NAME_MAX 256u

struct log_rotated {
    int fd; /* for reading; the caller closes it or takes it */
    dev_t dev;
    ino_t ino;
    int64_t size;
    int64_t
        born_ns; /* Unix time in nanoseconds; when it was last written to if the file system does not know */
    char name[LOG_ROTATED_NAME_MAX];
};

/* Is this the name of a file that `log` (a name without folder) was rotated to, and that is not compressed? */
bool log_rotated_is_name(const char *log, const char *name);

/* Fills in all but the name. False: it is no ordinary file. */
bool log_rotated_identify(int fd, struct log_rotated *found_out);

/*
 * Opens those that were not born before `born_ns`, in the order of their age: oldest first; of the same age the higher number, or the earlier
 * date. None is missed because it gets another name meanwhile. What cannot be opened is left out. Free with log_rotated_free().
 */
size_t log_rotated_find(const char *folder, const char *log, int64_t born_ns,
                        struct log_rotated **found_out);

/* Closes the descriptors that nobody took (and replaced by -1), and frees the list. */
void log_rotated_free(struct log_rotated *found, size_t count);

#endif
