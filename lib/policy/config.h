/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config - postern.conf(5), read and checked.
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_H
#define POSTERN_LIB_POLICY_CONFIG_H

#include "lib/base/diag.h"
#include "lib/base/log.h"
#include "lib/mail/reply.h"
#include "lib/policy/config_dns.h"
#include "lib/policy/config_relay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sendmail's FEATUREs, by the bit that each has in config.features. */
enum config_feature {
    FEATURE_ACCEPT_UNQUALIFIED_SENDERS = 1u << 0,
    FEATURE_ACCEPT_UNRESOLVABLE_DOMAINS = 1u << 1,
    FEATURE_BADMX = 1u << 2,
    FEATURE_BLOCK_BAD_HELO = 1u << 3,
    FEATURE_BLOCKLIST_RECIPIENTS = 1u << 4,
    FEATURE_BLACKLIST_RECIPIENTS =
        1u << 5, /* the old name: bare user names are keys too; implies the new one */
    FEATURE_COMPAT_CHECK = 1u << 6,
    FEATURE_DELAY_CHECKS = 1u << 7, /* implied by the next two */
    FEATURE_DELAY_CHECKS_FRIEND = 1u << 8,
    FEATURE_DELAY_CHECKS_HATER = 1u << 9,
    FEATURE_LOOKUPDOTDOMAIN = 1u << 10,
    FEATURE_LOOSE_RELAY_CHECK = 1u << 11,
    FEATURE_NOPERCENTHACK_NOSPECIAL = 1u << 12,
    FEATURE_NOPERCENTHACK_REJECT = 1u << 13,
    FEATURE_NOUUCP_NOSPECIAL = 1u << 14,
    FEATURE_NOUUCP_REJECT = 1u << 15,
    FEATURE_PROMISCUOUS_RELAY = 1u << 16,
    FEATURE_RELAY_BASED_ON_MX = 1u << 17,
    FEATURE_RELAY_ENTIRE_DOMAIN = 1u << 18,
    FEATURE_RELAY_HOSTS_ONLY = 1u << 19,
    FEATURE_RELAY_LOCAL_FROM = 1u << 20,
    FEATURE_RELAY_MAIL_FROM = 1u << 21,
    FEATURE_RELAY_MAIL_FROM_DOMAIN = 1u << 22, /* implies relay_mail_from */
    FEATURE_RELAYTOFULLADDRESS = 1u << 23,
    FEATURE_REQUIRE_RDNS = 1u << 24,
    FEATURE_SKIP = 1u << 25, /* accepted; SKIP always works */
    FEATURE_USE_CLIENT_PTR = 1u << 26,
};

enum config_relay_control {
    RELAY_CONTROL_OFF,
    RELAY_CONTROL_MTA,    /* the MTA refuses relays; postern never does */
    RELAY_CONTROL_MILTER, /* postern alone refuses them */
};

/* How much a client certificate must say before it can grant relaying. */
enum config_certificate {
    CERTIFICATE_DN, /* whole names, as Sendmail passes them */
    CERTIFICATE_CN, /* common names too, as Postfix passes them: of any CA that the MTA trusts */
};

/* What holds for one listener of the MTA, by its {daemon_name}. */
struct config_daemon {
    char *name;
    bool require_auth; /* RFC 6409, 4.3 */
    bool require_fqdn; /* RFC 6409, 4.2 */
    bool has_features; /* the section names its own features */
    uint32_t features;
    bool has_relay_control;
    enum config_relay_control relay_control;
    bool has_dnsbl; /* the section names its own lists */
    uint64_t dnsbl; /* bits of config.dns.lists */
};

/* A unix socket of the daemon. */
struct config_socket {
    char *path;   /* "": none */
    bool was_set; /* false: the default, without which the daemon can do */
};

struct config_list {
    char **items; /* NULL-terminated */
    size_t count;
};

/* All strings are owned by the config and never NULL: "" where there is none. Paths are absolute. */
struct config {
    char *path; /* of postern.conf itself */

    char *listen; /* libmilter's form: unix:PATH, inet:PORT@HOST, inet6:PORT@HOST */
    unsigned listen_mode;
    char *listen_group;
    char *user;
    char *pid_file;
    char *control_socket;                /* path; "": none */
    struct config_socket popauth_socket; /* where logins are reported */
    char *popauth_group;                 /* who may do that */
    struct config_socket map_socket; /* socketmap questions of the MTA; listen_mode, listen_group */
    struct config_socket policy_socket; /* Postfix's policy delegation; likewise */
    char *hostname;

    char *access; /* text files; "": none */
    char *spammers;
    char *regex;              /* patterns, as people edit them; "": none */
    char *header_checks;      /* likewise, of the message's own header */
    char *mime_header_checks; /* likewise, of headers in the body */
    char *local_host_names;   /* lists; "": none */
    char *relay_domains;
    struct config_list local_domains;
    struct config_list local_mailers;
    struct config_list trust_auth_mech;

    uint32_t features; /* enum config_feature, implications added */
    enum config_relay_control relay_control;
    enum config_certificate certificate;
    struct config_relay_store relay_store;
    struct config_daemon *daemons;
    size_t daemon_count;

    struct config_dns dns;

    struct reply reject; /* text of its own, NULL: Sendmail's default */
    struct reply recipient_reject;
    struct reply relay;

    char *log_facility;
    enum log_level log_level;
};

/*
 * Reads the file. All errors go to `diag`, with file:line; NULL if there was one. Keys that the file does not set have the
 * defaults of postern.conf(5). Free with config_free().
 */
struct config *config_load(const char *path, struct diag *diag);
void config_free(struct config **config);

/* $POSTERN_CONF or SYSCONFDIR/postern/postern.conf. */
const char *config_default_path(void);

static inline bool config_has(const struct config *config, enum config_feature feature)
{
    return (config->features & (uint32_t)feature) != 0;
}

/* The section of the listener of that name, without regard to case; NULL: there is none. */
const struct config_daemon *config_find_daemon(const struct config *config, const char *name);

/* Is the feature in force for any listener? */
bool config_has_anywhere(const struct config *config, enum config_feature feature);

/* Does postern refuse relaying for any listener? */
bool config_controls_relaying(const struct config *config);

/* The path of the compiled map of a text file, `PATH.gdbm`; free() it. */
char *config_map_path(const char *text_path);

#endif
