/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_login - POP-before-SMTP: did the client log in to POP or IMAP from this address not long ago?
 */
#ifndef POSTERN_LIB_POLICY_RELAY_LOGIN_H
#define POSTERN_LIB_POLICY_RELAY_LOGIN_H

#include "lib/policy/session.h"

#include <stdbool.h>

/*
 * Asks session->relayers. A yes is noted in the trace with the address, the time and the user. A store that cannot be
 * asked is noted, too, and is a no: mail of those who may send anyway must not wait for it.
 */
bool relay_login_permits(const struct session *session);

#endif
