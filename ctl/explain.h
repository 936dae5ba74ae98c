/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain - one SMTP session played through the daemon's own stages, told as a JSON object.
 */
#ifndef POSTERN_CTL_EXPLAIN_H
#define POSTERN_CTL_EXPLAIN_H

#include "ctl/message_file.h"
#include "lib/policy/session.h"

#include <jansson.h>
#include <stddef.h>

struct resolver;
struct relay_lookup;
struct ruleset;

/* The session. NULL members are facts that the MTA does not tell. */
struct explain_request {
    struct resolver *resolver; /* whom to ask DNS; NULL: nobody */
    struct session_client client;
    const char *helo;
    struct session_login login;
    const char *sender; /* NULL: the session ends before MAIL */
    const struct relay_lookup
        *relayers;      /* whom to ask who logged in to POP or IMAP; NULL: nobody */
    const char *mailer; /* {rcpt_mailer}, the same for all recipients */
    const char *const *recipients;
    size_t recipient_count;
    const struct message_field *fields; /* the message's header, and its body */
    size_t field_count;
    const char *body; /* NULL: none is given */
    size_t body_len;
};

/*
 * The object that postern-explain in posternctl(8) describes: "stages" in order, each with its "lookups", "verdict" and
 * reply, "edits" where header rules change the message, "relaying" where the MTA decides on that and may ask, and "disposition". The caller gives it back with json_decref().
 */
json_t *explain_session(struct ruleset *ruleset, const struct explain_request *request);

#endif
