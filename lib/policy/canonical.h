/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * canonical - senders and recipients as Sendmail compares them, see postern-access(5).
 *
 * Own host names that only forward ("x%other@local", "other!x@local", quoted too) are taken off; "localhost" and own
 * literals become the own host name; trailing dots go.
 */
#ifndef POSTERN_LIB_POLICY_CANONICAL_H
#define POSTERN_LIB_POLICY_CANONICAL_H

#include "lib/mail/address.h"
#include "lib/mail/reply.h"
#include "lib/policy/session.h"

#include <stdbool.h>

struct canonical {
    const char *local;  /* as rules compare it: without its quotes where Sendmail takes them off */
    const char *domain; /* lower case; NULL: none */
    bool is_local;      /* the domain is in class w */
    bool has_bang;      /* the local part has a '!' outside of quotes */
    bool has_percent;   /* likewise a '%' */
    bool drops_host;    /* what Sendmail takes off in front names a host, though it is no route */
    struct address split; /* as it was typed, for canonical_typed() */
};

/*
 * False with the reply of Sendmail's parser if it cannot be an address. Strings live until the end of the stage.
 *
 * A recipient (unless loose_relay_check) also loses a domain that we relay for, if its local part names another host. An
 * access map that cannot be read says of no domain that we relay for it; who asks it next will notice.
 */
bool canonical_sender(struct session *session, const char *typed, struct canonical *out,
                      struct reply *error_out);
bool canonical_recipient(struct session *session, const char *typed, struct canonical *out,
                         struct reply *error_out);

/* Sendmail's $f: no brackets, no route, case and quotes kept. Lives until the end of the stage. */
const char *canonical_typed(struct session *session, const struct canonical *canonical);

/* Is it "<>", the sender of a bounce? */
bool canonical_is_empty(const char *typed);

#endif
