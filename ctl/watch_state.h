/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch_state - the files in which a watcher keeps where it is, and which sessions are open.
 */
#ifndef POSTERN_CTL_WATCH_STATE_H
#define POSTERN_CTL_WATCH_STATE_H

#include "lib/base/strbuf.h"

#include <stdbool.h>

/* The longest text that is read. */
#define WATCH_STATE_MAX (32u << 20)

/* Appends what the file NAME + SUFFIX holds. False: it is not there, or `why` says what is wrong. */
bool watch_state_read(const char *name, const char *suffix, struct strbuf *out, struct strbuf *why);

/* Replaces the file, at once or not at all. False: `why` says what is wrong. */
bool watch_state_write(const char *name, const char *suffix, const struct strbuf *text,
                       struct strbuf *why);

#endif
