/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conversation - the connection of one SMTP client from negotiation to close, as the functions of the filter share it.
 */
#ifndef POSTERN_MILTER_CONVERSATION_H
#define POSTERN_MILTER_CONVERSATION_H

#include "lib/policy/ruleset.h"
#include "lib/policy/session.h"
#include "milter/callbacks.h"
#include "milter/decision_log.h"
#include "milter/message_edits.h"
#include "milter/mfi.h"
#include "milter/recipients.h"
#include "milter/relay_memo.h"
#include "milter/stats.h"

#include <stdbool.h>

struct conversation {
    struct decision_log log; /* has its id from the start */
    struct session session;
    struct relay_memo relayers; /* whom it asks */
    struct ruleset_needs
        needs;       /* what the ruleset asks the MTA for; looking for a macro is not cheap */
    bool connected;  /* session has the facts of a connection */
    bool broken;     /* ... which cannot be trusted: every command is answered 4xx */
    bool in_message; /* MAIL was accepted, and neither end nor abort came yet */
    unsigned silent; /* steps that get no reply: enum mfi_step */
    bool no_quarantine;
    bool no_drop;
    bool no_add_recipients;
    bool no_edit_headers;
    struct message_edits_mta mta;
    struct recipients drops; /* of this message: taken out of the envelope at its end */
    struct strbuf value;     /* of a field whose MTA took the blank off */
    struct recipients kept;  /* the other recipients, if rules can add to them or redirect */
};

/* With the current ruleset, which it keeps. */
struct conversation *conversation_new(struct callbacks *callbacks);
void conversation_free(struct callbacks *callbacks, struct conversation **conversation);

/* Forgets the message, if there is one. */
void conversation_end_message(struct callbacks *callbacks, struct conversation *conversation);

/* Is there a session whose facts can be trusted? `conversation` may be NULL. */
bool conversation_is_usable(const struct conversation *conversation);

/*
 * Something that cannot be: the client tries again later, and the log says what happened. `conversation` may be NULL.
 * Returns MFI_TEMPFAIL.
 */
enum mfi_answer conversation_fail(struct callbacks *callbacks, struct conversation *conversation,
                                  enum stats_stage stage, const char *what);

/* Counts what a stage decided. */
void conversation_count(struct callbacks *callbacks, enum stats_stage stage,
                        const struct verdict *verdict);

/* The answer to a command. DISCARD and QUARANTINE wait for the end of the message. */
enum mfi_answer conversation_answer(struct callbacks *callbacks, struct mfi *mfi,
                                    enum stats_stage stage, const struct verdict *verdict);

#endif
