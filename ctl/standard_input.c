/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/standard_input.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static enum standard_input look_at_pipe(int fd, int wait_ms)
{
    struct pollfd pipe_end = {.fd = fd, .events = POLLIN};
    int waiting = 0;
    int ready = poll(&pipe_end, 1, wait_ms);

    if (ready == 0) {
        return STANDARD_INPUT_SILENT;
    }
    /* At the end of a pipe poll() says "ready" too. */
    if (ready > 0 && ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0) {
        return STANDARD_INPUT_TEXT;
    }
    return STANDARD_INPUT_NONE;
}

enum standard_input standard_input_look(int fd, int wait_ms)
{
    struct stat input;

    if (fstat(fd, &input) != 0) {
        return STANDARD_INPUT_NONE;
    }
    if (S_ISREG(input.st_mode)) {
        return input.st_size > 0 && lseek(fd, 0, SEEK_CUR) == 0 ? STANDARD_INPUT_TEXT
                                                                : STANDARD_INPUT_NONE;
    }
    if (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode)) {
        return look_at_pipe(fd, wait_ms);
    }
    return STANDARD_INPUT_NONE;
}
