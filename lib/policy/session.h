/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session - the facts of one SMTP session, and what earlier stages left for later ones.
 *
 * Facts come in through session_connect() and the arguments of the stages (stages.h), as the MTA gave them: both MTAs'
 * dialects (Postfix: client name "unknown"; Sendmail: "[192.0.2.1]") are made one here. A session belongs to one
 * thread at a time, which may be another one at each call. It keeps the ruleset that it began with.
 */
#ifndef POSTERN_LIB_POLICY_SESSION_H
#define POSTERN_LIB_POLICY_SESSION_H

#include "lib/base/arena.h"
#include "lib/mail/netaddr.h"
#include "lib/policy/config.h"
#include "lib/policy/effects.h"
#include "lib/policy/header_edit.h"
#include "lib/policy/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct dns_questions;
struct header_state;
struct resolver;
struct relay_found;
struct relay_granted;
struct relay_lookup;
struct ruleset;
struct trace;

/* Sendmail's {client_resolve}. */
enum session_resolve { RESOLVE_OK, RESOLVE_FAIL, RESOLVE_TEMP, RESOLVE_FORGED };

/* What an MTA tells of a client; NULL: not told. The strings need not outlive the call. */
struct session_client {
    const char *name; /* verified host name; "unknown", "[address]" or NULL: there is none */
    const char *
        address; /* IP address as text, with or without "IPv6:"; NULL: not an IP client (local, unix socket) */
    const char *resolve;     /* OK, FAIL, TEMP, FORGED; NULL: by name and ptr */
    const char *ptr;         /* PTR name, verified or not: {client_ptr} */
    const char *hostname;    /* the MTA's own name: {j} */
    const char *daemon_name; /* {daemon_name} */
    const char
        *daemon_addr; /* own address that the client connected to: {if_addr} or {daemon_addr} */
};

/* Who the client proved to be, known from MAIL on; NULL or empty: nobody. */
struct session_login {
    const char *type;   /* SASL mechanism: {auth_type} */
    const char *authen; /* authenticated name: {auth_authen} */
    const char
        *verify; /* what TLS says of the client's certificate: {verify}, "OK" if it is trusted */
    const char *
        cert_subject; /* {cert_subject}, {cert_issuer}: whole names (Sendmail) or common names (Postfix) */
    const char *cert_issuer;
};

/* Checks that ask DNS and wait for their answers until the client names a recipient; as bits. */
enum session_put_off {
    PUT_OFF_CLIENT = 1u << 0, /* what check_relay has left */
    PUT_OFF_SENDER = 1u << 1,
    PUT_OFF_HELO = 1u << 2,
};

struct session {
    struct ruleset *ruleset; /* counted */
    struct trace *trace;     /* NULL: nobody looks */
    struct arena *arena;     /* as long as the connection */
    struct arena *message;   /* since MAIL */
    struct arena *scratch;   /* of one stage: what a client sends often must not add up */
    struct arena *held; /* of `quarantine`, which each recipient may replace; NULL until one does */

    struct resolver
        *resolver; /* whom to ask DNS; NULL: nobody. Set by the caller, outlives the session */
    struct dns_questions *dns; /* NULL: nothing was asked yet */
    bool relay_known;          /* whether it may relay by address or name was found out: */
    bool relays;
    bool accepted; /* a rule said OK or RELAY of the client: no list is asked */
    bool unlisted; /* all lists have answered about the client, and none decides */

    /* what DNS lists said beside "not listed", for the log: "bl.example=127.0.0.2,other.example=timeout"; NULL: nothing */
    const char *client_lists; /* of address, names and HELO */
    const char *sender_lists; /* of the sender's domain; lives as long as the message */
    const struct relay_lookup *
        relayers; /* whom to ask whether the client logged in; NULL: nobody, which is no. Set by the caller */

    /* facts of the connection */
    const char *client_name; /* "host.example" or "[192.0.2.1]"; "" if there is neither */
    const char *client_ptr;  /* "" if not known */
    const char *client_addr; /* Sendmail's text: "192.0.2.1", "IPv6:2001:db8:0:0:0:0:0:1"; or "" */
    struct netaddr client_net;
    enum session_resolve resolve;
    bool resolve_told;       /* the MTA said so, by Sendmail's {client_resolve} */
    const char *hostname;    /* Sendmail's $j */
    const char *domain;      /* Sendmail's $m; "" if the host name has no dot */
    const char *own_literal; /* "[192.0.2.1]" of daemon_addr, or "" */
    const char *daemon_name;
    uint32_t features;                       /* of this listener: enum config_feature */
    enum config_relay_control relay_control; /* of this listener */
    const struct config_daemon *daemon;      /* its section of postern.conf; NULL: none */
    char *helo;                              /* "" before HELO; cut to DOMAIN_MAX_LEN */

    /* facts of the message */
    struct session_login login; /* never NULL inside: "" */
    const char *sender;         /* as typed; NULL outside of a transaction */
    const char *sender_domain;  /* that DNS is asked about; NULL: none */
    unsigned recipients;        /* accepted so far */
    unsigned
        granted_before; /* recipients of this message in other sessions, relayed because of a login. Set by the caller */
    struct relay_granted *granted_names; /* which, for relay_limits.c */
    unsigned granted;                    /* of these, relayed because of a login to POP or IMAP */

    const struct relay_found *
        grant; /* the login that permits the recipient of the stage that runs; scratch; NULL: none */
    bool grants_counted; /* others count what logins permit, or have done so. Set by the caller */

    /* kept for later stages */
    bool later;               /* checks that ask DNS are put off now */
    bool waiting;             /* the last stage returned VERDICT_WAIT */
    unsigned put_off;         /* for this message: enum session_put_off */
    unsigned put_off_connect; /* for each */
    struct verdict
        connect; /* a refusal is answered at each MAIL; DISCARD, QUARANTINE hold for each */
    struct verdict discard;    /* VERDICT_DISCARD if this message goes */
    struct verdict quarantine; /* VERDICT_QUARANTINE if this message is held; the last one wins */
    unsigned dropped;          /* recipients with VERDICT_DROP */
    struct verdict refusal;    /* REJECT or TEMPFAIL by its headers; CONTINUE: none */
    struct header_edits edits;
    struct header_state *headers;   /* NULL: none seen yet */
    struct effects effects;         /* of the stage that runs now; scratch */
    struct effects connect_effects; /* of the connection */
    struct effects message_effects; /* of connection and MAIL; no edits: these are in `edits` */
};

/* Is a feature in force for this session's listener? */
static inline bool session_has(const struct session *session, enum config_feature feature)
{
    return (session->features & (uint32_t)feature) != 0;
}

/* A session without facts in the caller's storage; takes a reference of the ruleset. `trace` may be NULL. */
void session_init(struct session *session, struct ruleset *ruleset, struct trace *trace);

/* Frees all that the session holds; legal after session_init() and for a zeroed structure. */
void session_fini(struct session *session);

/* Sets the facts of the connection. */
void session_connect(struct session *session, const struct session_client *client);

/* Forgets the message: at MAIL, after the end of a message, at RSET (milter: abort). */
void session_reset_message(struct session *session);

/* What the header rules change or log, in the order of the headers; NULL: nothing. Lives as long as the message. */
const struct header_edit *session_header_edits(const struct session *session);

/* "OK", "FAIL", "TEMP", "FORGED". */
const char *session_resolve_name(enum session_resolve resolve);

#endif
