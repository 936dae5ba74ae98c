/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain_logins - who logged in to POP or IMAP, for a session that is only played: asked of the daemon that runs, or of its
 * store itself if none answers. Nothing is changed.
 */
#ifndef POSTERN_CTL_EXPLAIN_LOGINS_H
#define POSTERN_CTL_EXPLAIN_LOGINS_H

#include "ctl/ctl.h"

#include "lib/policy/config.h"
#include "lib/relay/relay_lookup.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>

struct explain_logins {
    struct relay_lookup lookup; /* for session->relayers */
    const struct ctl *ctl;
    const struct config *config;
    const char *
        pretend; /* the client has just logged in as this user (""), whoever it is; NULL: it has not */
    bool tried;                /* to open the store */
    struct relay_store *store; /* NULL: there is none */
    bool failed;               /* it cannot be asked, which was said */
};

/* In the caller's storage; ctl and config must outlive it. */
void explain_logins_init(struct explain_logins *logins, const struct ctl *ctl,
                         const struct config *config, const char *pretend);
void explain_logins_fini(struct explain_logins *logins);

#endif
