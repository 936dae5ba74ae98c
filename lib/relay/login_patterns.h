/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * login_patterns - what the lines of a log tell about logins: login-patterns(5).
 *
 * A file has one PCRE2 pattern a line, with groups that are called ip, user, session, service and logout. The first pattern that
 * matches a line, from its first byte on, says what it means. The lines hold what clients sent, so that a pattern must leave them no
 * way to forge an address; the file that is installed says how.
 */
#ifndef POSTERN_LIB_RELAY_LOGIN_PATTERNS_H
#define POSTERN_LIB_RELAY_LOGIN_PATTERNS_H

#include "lib/base/diag.h"
#include "lib/base/status.h"
#include "lib/mail/netaddr.h"
#include "lib/relay/relay_entry.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A longer line tells nothing: syslog cuts lines off at 1024 bytes, and where that happens can be chosen by whoever chooses a long
 * user name.
 */
#define LOGIN_PATTERNS_MAX_LINE 1000u

/* As the daemon takes it. */
#define LOGIN_SESSION_MAX 128u

struct login_found {
    unsigned line; /* of the pattern, in its file */
    bool is_logout;
    struct netaddr addr; /* NETADDR_NONE: a logout that names its session alone */
    char user[RELAY_USER_MAX + 1];
    char service[RELAY_SERVICE_MAX + 1];
    char session[LOGIN_SESSION_MAX + 1];
};

struct login_patterns;

/* Reads the file. NULL: it cannot be read, something in it is wrong, or there is no pattern; `diag` was told. */
struct login_patterns *login_patterns_load(const char *path, struct diag *diag);

/* Sets the caller's pointer to NULL; NULL is legal. */
void login_patterns_free(struct login_patterns **patterns);

/* How many there are. */
size_t login_patterns_count(const struct login_patterns *patterns);

/*
 * Asks for one line, without its end; it may hold any bytes. STATUS_OK: *found_out is what it says; user, service and session that the
 * daemon would not take are "". STATUS_NOTFOUND: it is nobody's login or logout. STATUS_INVALID: a pattern matches, but what it calls ip is no
 * address of a client. STATUS_TEMPFAIL: a pattern took too long. The last two: found_out->line is set, and *why_out, which lives for ever.
 * Not for two threads at once.
 */
enum status login_patterns_find(struct login_patterns *patterns, const char *line, size_t len,
                                struct login_found *found_out, const char **why_out);

#endif
