/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain - one SMTP session played through the daemon's own stages, told as a JSON object.
 */
#ifndef POSTERN_CTL_EXPLAIN_H
#define POSTERN_CTL_EXPLAIN_H

#include "lib/policy/session.h"

#include <jansson.h>
#include <stddef.h>

struct ruleset;

/* The session. NULL members are facts that the MTA does not tell. */
struct explain_request {
    struct session_client client;
    const char *helo;
    struct session_login login;
    const char *sender; /* NULL: the session ends before MAIL */
    const char *mailer; /* {rcpt_mailer}, the same for all recipients */
    const char *const *recipients;
    size_t recipient_count;
};

/*
 * The object that postern-explain in posternctl(8) describes: "stages" in order, each with its "lookups", "verdict" and
 * reply, and "disposition". The caller gives it back with json_decref().
 */
json_t *explain_session(struct ruleset *ruleset, const struct explain_request *request);

/* Writes the object for a person to read. */
void explain_print(const json_t *object);

#endif
