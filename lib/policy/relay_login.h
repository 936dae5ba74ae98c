/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_login - POP-before-SMTP: did the client log in to POP or IMAP from this address not long ago?
 */
#ifndef POSTERN_LIB_POLICY_RELAY_LOGIN_H
#define POSTERN_LIB_POLICY_RELAY_LOGIN_H

#include "lib/policy/session.h"

#include <stdbool.h>

struct relay_found;

/*
 * Asks session->relayers; NULL: it did not. What is found lives until the end of the stage, and is noted in the trace with the address, the
 * time and the user. A store that cannot be asked is noted, too, and is a no: mail of those who may send anyway must not wait for it.
 */
const struct relay_found *relay_login_find(const struct session *session);

/* The same, where only that matters. */
bool relay_login_permits(const struct session *session);

#endif
