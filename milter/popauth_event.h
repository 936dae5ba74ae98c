/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_event - what Dovecot's event exporter (2.4, driver unix, format json) writes to the socket of popauth.h, read as a login or
 * the end of one.
 *
 * Events come one a line and are answered by nothing. These count, for POP3 and IMAP, when a client with an IP address is behind them:
 *
 *     auth_master_client_login_finished   the mail process has the client, after password and user database: login
 *     proxy_session_established           the same where Dovecot is a proxy: login
 *     imap_client_unhibernated            a session that was put aside goes on: login
 *     mail_user_session_finished          the mail process is done with it, or puts it aside: logout
 *     proxy_session_finished              logout
 *
 * A right password alone (auth_request_finished) is no login: a limit may still refuse the session, and it could be SMTP's. No field
 * of Dovecot is in both of login and logout and names the session, but the client's address and port are: they are its id here.
 */
#ifndef POSTERN_MILTER_POPAUTH_EVENT_H
#define POSTERN_MILTER_POPAUTH_EVENT_H

#include "milter/popauth_line.h"

#include <stddef.h>
#include <stdint.h>

#define POPAUTH_MAX_EVENT 16384u /* bytes, with the newline */

enum popauth_event {
    POPAUTH_EVENT_TAKEN,   /* a login or logout */
    POPAUTH_EVENT_IGNORED, /* another event, or of nobody with an IP address */
    POPAUTH_EVENT_WRONG,   /* no event, or one that lacks what must be there */
};

/*
 * Reads an event (without its newline; it may hold any bytes), as popauth_line_parse() does a line. POPAUTH_EVENT_WRONG: *why_out says
 * what is wrong. A user's name that is too long to be kept is left out.
 */
enum popauth_event popauth_event_parse(const char *json, size_t len, int64_t now,
                                       struct strbuf *texts, struct popauth_line *line_out,
                                       const char **why_out);

#endif
