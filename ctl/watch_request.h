/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_request - what a line of a log told, as a request to the socket where logins are reported.
 */
#ifndef POSTERN_CTL_WATCH_REQUEST_H
#define POSTERN_CTL_WATCH_REQUEST_H

#include "lib/base/strbuf.h"
#include "lib/relay/login_patterns.h"

#include <stdbool.h>

/* Appends `login ADDR user=U service=S session=ID` or `logout ...`, with a newline; the address must be known. */
void watch_request_format(const struct login_found *found, struct strbuf *out);

/* Whose session ends, if such a request (without its newline) is a logout. */
bool watch_request_read_logout(const char *request, char session_out[LOGIN_SESSION_MAX + 1],
                               struct netaddr *addr_out);

#endif
