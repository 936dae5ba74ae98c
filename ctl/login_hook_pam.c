/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/login_hook_pam.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE_IN_SESSION 40 /* bytes of it */

static const struct {
    const char *type;
    const char *verb;
    bool has_session;
} types[] = {
    {"open_session", "login", true},
    {"close_session", "logout", true},
    {"auth", "login", false}, /* whose end nobody tells */
    {"account", "login", false},
};

static const char *value_of(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* `pam/SERVICE/PID`, a word of printable characters whatever the service is called. */
static void name_session(const char *service, char session[LOGIN_SESSION_SIZE])
{
    (void)snprintf(session, LOGIN_SESSION_SIZE, "pam/%.*s/%ld", SERVICE_IN_SESSION, service,
                   (long)getppid());
    for (char *c = session; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            *c = '?';
        }
    }
}

static bool read_type(struct login_report *report)
{
    const char *type = value_of("PAM_TYPE");

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(type, types[i].type) == 0) {
            report->verb = types[i].verb;
            if (types[i].has_session) {
                name_session(report->service, report->session);
            }
            return true;
        }
    }
    return false;
}

enum login_hook_pam login_hook_pam_read(struct login_report *report, const char **why_out)
{
    struct netaddr addr;

    *report = (struct login_report){
        .address = value_of("PAM_RHOST"),
        .user = value_of("PAM_USER"),
        .service = value_of("PAM_SERVICE"),
    };
    if (!read_type(report)) {
        *why_out = "PAM_TYPE is none of open_session, close_session, auth, account";
        return LOGIN_HOOK_PAM_REFUSED;
    }
    if (*report->address == '\0') {
        return LOGIN_HOOK_PAM_SILENT;
    }
    if (!netaddr_parse(report->address, &addr)) {
        *why_out = "a host name is not recorded, only an IP address is";
        return LOGIN_HOOK_PAM_REFUSED;
    }
    return LOGIN_HOOK_PAM_TELL;
}
