/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_line - one request of popauth.h, taken apart.
 */
#ifndef POSTERN_MILTER_POPAUTH_LINE_H
#define POSTERN_MILTER_POPAUTH_LINE_H

#include "lib/base/strbuf.h"
#include "lib/relay/relay_entry.h"
#include "lib/relay/relay_sessions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POPAUTH_SESSION_MAX RELAY_SESSIONS_ID_MAX

enum popauth_verb { POPAUTH_LOGIN, POPAUTH_LOGOUT, POPAUTH_ADD };

struct popauth_line {
    enum popauth_verb verb;
    struct relay_entry entry;              /* dated `now` */
    char session[POPAUTH_SESSION_MAX + 1]; /* as it was written; "": none */
    bool is_told_again; /* keep=no: if it cannot be done now, who tells it will tell it again */
};

/* "login", "logout", "add". */
const char *popauth_line_verb(enum popauth_verb verb);

/*
 * Reads a line (without its newline; it may hold any bytes). The texts of user and service live in `texts`, which is
 * emptied first. False: *why_out says what is wrong.
 */
bool popauth_line_parse(const char *line, size_t len, int64_t now, struct strbuf *texts,
                        struct popauth_line *line_out, const char **why_out);

#endif
