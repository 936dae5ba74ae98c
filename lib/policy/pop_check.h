/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pop_check - what `posternctl check` says of POP-before-SMTP: settings that make it useless, and a Sendmail that would relay for
 * everybody when the daemon is down.
 */
#ifndef POSTERN_LIB_POLICY_POP_CHECK_H
#define POSTERN_LIB_POLICY_POP_CHECK_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

#include <stdbool.h>

/* That logins count for nothing in tables, which know neither sender nor numbers. */
#define POP_CHECK_TABLES                                                                         \
    "relay_store has limits, which a table cannot keep: the maps relayers and relay_client say " \
    "no to clients that logged in"

/* Is that so, and may a mail server ask these tables? */
bool pop_check_tables_ignore_logins(const struct config *config);

/* Settings that take each other's effect away. Warnings only. */
void pop_check_config(const struct config *config, struct diag *diag);

/*
 * Looks for maps of map_socket in Sendmail's configuration, `path`, that answer a failure with a text (-T): there it would
 * be a yes. A file that is not there, or may not be read, says nothing.
 */
void pop_check_sendmail(const struct config *config, const char *path, struct diag *diag);

#endif
