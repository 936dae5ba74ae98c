/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_relay - POP-before-SMTP: the section relay_store of postern.conf(5).
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_RELAY_H
#define POSTERN_LIB_POLICY_CONFIG_RELAY_H

#include "lib/relay/relay_sessions.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>
#include <stddef.h>

/* The envelope senders for which a login permits relaying. */
enum config_grant_senders {
    GRANT_SENDERS_ANY,
    GRANT_SENDERS_ADDRESS, /* that of the user who logged in */
    GRANT_SENDERS_DOMAIN,  /* those of the user's domain */
};

/* Strings are owned and never NULL. */
struct config_relay_store {
    enum relay_backend backend;
    char *file;
    char *redis_url;
    char *redis_password_file; /* "": none */
    char *redis_ca_file;       /* "": the system's */
    char *redis_key_prefix;
    unsigned timeout_ms;
    struct relay_terms terms;
    unsigned session_max_hours; /* 0: open sessions are not counted */
    size_t max_sessions;
    enum config_grant_senders grant_senders;
    unsigned recipients_per_message; /* 0: any number; for clients that relay because of a login */
    unsigned recipients_per_hour;
    bool was_set; /* the file sets one of these */
};

/* What relay_store_open() needs, pointing into `store`; without a logger, and not waiting. */
struct relay_store_options config_relay_options(const struct config_relay_store *store);

/* How open sessions are counted. */
struct relay_sessions_terms config_relay_sessions(const struct config_relay_store *store);

/* Frees what the section owns. */
void config_relay_fini(struct config_relay_store *store);

#endif
