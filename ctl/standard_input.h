/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * standard_input - did the caller redirect a text into standard input, or is it just whatever he has there?
 *
 * `posternctl makemap access < file` must read the file; the same command from cron, a systemd unit, ssh or within a
 * loop that reads a list must not touch what stands there, nor wait for it.
 */
#ifndef POSTERN_CTL_STANDARD_INPUT_H
#define POSTERN_CTL_STANDARD_INPUT_H

enum standard_input {
    STANDARD_INPUT_NONE, /* closed, a terminal, a device, an empty file or pipe, a file that somebody else is reading */
    STANDARD_INPUT_TEXT,   /* a file at its beginning, or a pipe or socket with bytes in it */
    STANDARD_INPUT_SILENT, /* a pipe or socket that is open, but nothing came in the time given */
};

/* Looks, and reads nothing. Waits up to `wait_ms` for the first byte of a pipe. */
enum standard_input standard_input_look(int fd, int wait_ms);

#endif
