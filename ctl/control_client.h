/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control_client - asks the daemon that runs, over its control socket.
 */
#ifndef POSTERN_CTL_CONTROL_CLIENT_H
#define POSTERN_CTL_CONTROL_CLIENT_H

#include "ctl/ctl.h"

/*
 * Reads the arguments of a verb that takes none but the common options. True: go on; else *code_out is the exit status.
 */
bool control_client_arguments(struct ctl *ctl, int argc, char **argv, const char *help,
                              int *code_out);

/*
 * The daemon's socket, as postern.conf names it, also if the file has errors: they must not keep anybody from asking the daemon
 * that still runs with the rules of before. "": none; free() it.
 */
char *control_client_socket(const struct ctl *ctl);

/* A connection to the socket; -1: errno says why there is none. The caller closes it. */
int control_client_connect(const char *path);

/*
 * Sends the request, with a file if `descriptor` is not -1, and returns the daemon's answer, an object that the caller releases. NULL if the
 * daemon does not answer; then that was said on standard error.
 */
json_t *control_client_ask_at(const struct ctl *ctl, const char *path, const char *request,
                              int descriptor);

/* The same on the daemon's socket, without a file. */
json_t *control_client_ask(const struct ctl *ctl, const char *request);

/* A member of an answer; 0 or "" if there is none. */
json_int_t control_client_number(const json_t *object, const char *key);
const char *control_client_text(const json_t *object, const char *key);

#endif
