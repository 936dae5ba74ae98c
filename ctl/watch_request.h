/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_request - what a line of a log told, as a request to the socket where logins are reported.
 */
#ifndef POSTERN_CTL_WATCH_REQUEST_H
#define POSTERN_CTL_WATCH_REQUEST_H

#include "lib/base/strbuf.h"
#include "lib/relay/login_patterns.h"

/* Appends `login ADDR user=U service=S session=ID` or `logout ...`, with a newline; the address must be known. */
void watch_request_format(const struct login_found *found, struct strbuf *out);

#endif
