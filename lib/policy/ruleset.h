/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ruleset - one immutable snapshot of configuration and tables.
 *
 * A reload makes a new one beside the old; whoever holds a reference goes on with what he has. Reference counts are
 * atomic, everything else is read-only: safe for threads.
 */
#ifndef POSTERN_LIB_POLICY_RULESET_H
#define POSTERN_LIB_POLICY_RULESET_H

#include "lib/base/diag.h"
#include "lib/policy/config.h"

#include <stdbool.h>

struct ruleset;
struct table;
struct table_regex;
struct header_rules;
struct regex_patterns;
struct classes;
struct dns_lists;

/*
 * Reads postern.conf and all that it names. Every error and warning goes to `diag`. NULL if there was an error. A
 * compiled map that is missing or broken is a warning here: its table answers STATUS_TEMPFAIL until it is there.
 * Returns with one reference.
 */
struct ruleset *ruleset_load(const char *path, struct diag *diag);

/*
 * Looks whether a compiled map was renamed into place (or came, or went) since the ruleset was made. NULL if all are the same, else
 * a new ruleset with the same configuration and lists and the new maps. A map that cannot be read is reported to
 * `diag` as a warning.
 */
struct ruleset *ruleset_refresh(const struct ruleset *ruleset, struct diag *diag);

struct ruleset *ruleset_ref(struct ruleset *ruleset);
void ruleset_unref(struct ruleset **ruleset);

const struct config *ruleset_config(const struct ruleset *ruleset);
const struct table *ruleset_access(const struct ruleset *ruleset);   /* NULL: none configured */
const struct table *ruleset_spammers(const struct ruleset *ruleset); /* NULL: none configured */
const struct regex_patterns *ruleset_regex(const struct ruleset *ruleset); /* never NULL */
const struct header_rules *ruleset_headers(const struct ruleset *ruleset); /* never NULL */
const struct classes *ruleset_classes(const struct ruleset *ruleset);

/* The DNS lists, which live as long as the ruleset. Their state changes: see dns_lists.h. */
struct dns_lists *ruleset_dns_lists(const struct ruleset *ruleset);

/* The tables of patterns that there are, each once; returns how many. They live as long as the ruleset. */
#define RULESET_PATTERNS 3
size_t ruleset_patterns(const struct ruleset *ruleset,
                        struct table_regex *tables_out[RULESET_PATTERNS]);

/* How long it took to read and compile them, in milliseconds. */
unsigned long ruleset_patterns_ms(const struct ruleset *ruleset);

/*
 * For a daemon, once after ruleset_load(): has compiled in the background what makes large tables of patterns fast. Without it all matches
 * the same.
 */
void ruleset_prepare(const struct ruleset *ruleset);

/* Ends what ruleset_prepare() began, for the end of the daemon. To be called by one thread, when nobody reloads. */
void ruleset_stop(const struct ruleset *ruleset);

/* What the MTA must tell for this ruleset's decisions, beyond arguments, {j} and the queue id. */
struct ruleset_needs {
    bool
        ask_client; /* DNS is asked as soon as the client is known: not to be kept back by the MTA */
    bool ask_helo;  /* and as soon as its HELO name is */
    bool client_resolve;  /* {client_resolve} */
    bool client_ptr;      /* {client_ptr} */
    bool daemon_addr;     /* {if_addr}, {daemon_addr} */
    bool login;           /* {auth_type}, {auth_authen} */
    bool certificate;     /* {verify}, {cert_subject}, {cert_issuer} */
    bool mailer;          /* {rcpt_mailer} */
    bool quarantine;      /* the right to quarantine */
    bool drop_recipients; /* the right to take recipients out */
    bool headers;         /* the fields of the message's header */
    bool body;            /* the body, for the headers of its parts */
    bool edit_headers;    /* the right to change, take out and insert fields */
    bool add_recipients;  /* the right to add recipients; all of a message are kept */
};
struct ruleset_needs ruleset_needs(const struct ruleset *ruleset);

#endif
