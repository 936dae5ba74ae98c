/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * login_hook_pam - what pam_exec says of a login in the environment of postern-login --pam.
 */
#ifndef POSTERN_CTL_LOGIN_HOOK_PAM_H
#define POSTERN_CTL_LOGIN_HOOK_PAM_H

#include "lib/relay/relay_entry.h"

#define LOGIN_SESSION_SIZE 64u

/* What the daemon is told. The texts are the environment's. */
struct login_report {
    const char *verb; /* "login", "logout" */
    const char *address;
    const char *user;                 /* "": not known */
    const char *service;              /* "": not known */
    char session[LOGIN_SESSION_SIZE]; /* "": not known */
};

enum login_hook_pam {
    LOGIN_HOOK_PAM_TELL,
    LOGIN_HOOK_PAM_SILENT,  /* nobody came from another host */
    LOGIN_HOOK_PAM_REFUSED, /* *why_out says why nothing is told */
};

/*
 * Reads PAM_RHOST, PAM_USER, PAM_SERVICE and PAM_TYPE: the begin of a session, a login or an account that is in order is a login, the
 * end of a session is a logout. A session is named by the service and the process that asked PAM for it, which is also the one that
 * ends it. A remote host that is a name is refused: names come from DNS, which the client's owner may write.
 */
enum login_hook_pam login_hook_pam_read(struct login_report *report, const char **why_out);

#endif
