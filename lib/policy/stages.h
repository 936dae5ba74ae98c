/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stages - the decision at each stage of an SMTP session.
 *
 * The daemon and `posternctl explain` call these same functions, so what is explained cannot differ from what is done.
 * A refusal (VERDICT_REJECT, VERDICT_TEMPFAIL) of stage_mail() and stage_rcpt() is the reply to that command.
 * stage_connect() and stage_helo() only look: what they find is kept in the session and answered at MAIL, because a
 * milter's own reply at these stages loses its text and code on both MTAs. DISCARD and QUARANTINE of any stage are
 * kept too, and returned by stage_eom(); until then the command is answered as accepted. No stage blocks on the network.
 *
 * Order: session_connect(), stage_connect(), stage_helo() (any number), then per message stage_mail(), stage_rcpt()
 * for each recipient, stage_eom() or session_reset_message(). Strings of a verdict live until the next stage.
 */
#ifndef POSTERN_LIB_POLICY_STAGES_H
#define POSTERN_LIB_POLICY_STAGES_H

#include "lib/policy/session.h"
#include "lib/policy/verdict.h"

struct verdict stage_connect(struct session *session);
struct verdict stage_helo(struct session *session, const char *name);

/* `sender` and `recipient` as typed, with or without <>; `login` may be NULL. */
struct verdict stage_mail(struct session *session, const struct session_login *login,
                          const char *sender);

/*
 * `mailer` is the MTA's {rcpt_mailer}, NULL if not told. VERDICT_DROP: the recipient is answered as accepted and must be
 * taken out of the envelope at the end of the message.
 */
struct verdict stage_rcpt(struct session *session, const char *recipient, const char *mailer);

/* What becomes of the message: CONTINUE, DISCARD (also if all recipients were dropped) or QUARANTINE. */
struct verdict stage_eom(struct session *session);

#endif
