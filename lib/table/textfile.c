/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int textfile_open(const char *path, struct diag *diag)
{
    /* NONBLOCK: opening a pipe would wait for who writes to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        diag_report(diag, DIAG_ERROR, path, 0, NULL, "%s", strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        diag_report(diag, DIAG_ERROR, path, 0, NULL, "cannot be read: %s", strerror(EISDIR));
    } else if (!S_ISREG(st.st_mode)) {
        diag_report(diag, DIAG_ERROR, path, 0, "write the lines into a file",
                    "is not an ordinary file");
    } else {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}
