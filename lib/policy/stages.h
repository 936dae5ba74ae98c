/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stages - the decision at each stage of an SMTP session.
 *
 * The daemon and `posternctl explain` call these same functions, so what is explained cannot differ from what is done.
 * A refusal (VERDICT_REJECT, VERDICT_TEMPFAIL) of stage_mail() and stage_rcpt() is the reply to that command.
 * stage_connect() and stage_helo() only look: what they find is kept in the session and answered at MAIL, because a
 * milter's own reply at these stages loses its text and code on both MTAs. DISCARD and QUARANTINE of any stage are
 * kept too, and returned by stage_eom(); until then the command is answered as accepted.
 *
 * No stage blocks on the network. stage_mail() and stage_rcpt() may return VERDICT_WAIT: nothing was decided; call
 * dns_questions_wait(), and then the same stage with the same arguments, until it returns something else.
 * What headers decide is kept as well: a refusal is told at the end of the header or of the message.
 *
 * Order: session_connect(), stage_connect(), stage_helo() (any number), then per message stage_mail(), stage_rcpt()
 * for each recipient, stage_header() for each field, stage_eoh(), stage_body() for each piece, stage_eom(); or
 * session_reset_message() at any time. Strings of a verdict live until the next stage.
 */
#ifndef POSTERN_LIB_POLICY_STAGES_H
#define POSTERN_LIB_POLICY_STAGES_H

#include "lib/policy/session.h"
#include "lib/policy/verdict.h"

#include <stddef.h>

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

/*
 * May this client send such mail through us, for an MTA that asks before it refuses: the relay decision alone, whatever relay_control is.
 * CONTINUE: yes; a refusal: no, or it cannot be known. It takes the place of stage_mail() and stage_rcpt(), and can be asked again and
 * again.
 *
 * Both addresses are what the MTA makes of them, without brackets and quotes. A recipient that mail programs may take for another
 * (not address_is_plain()) is nobody's here: then only the client can permit it; such a sender is none.
 */
struct verdict stage_relay(struct session *session, const struct session_login *login,
                           const char *sender, const char *recipient);

/*
 * One field of the message's own header, in the order of the message. `value` is all that stands behind the colon, with
 * the blank that follows it, folded lines joined by "\n" (an MTA that takes the blank off: put one before it). Returns
 * what this field decided, for those who watch; nothing is to be answered to a single field.
 */
struct verdict stage_header(struct session *session, const char *name, const char *value);

/*
 * The end of the header, and what all of it decided: a refusal, or CONTINUE. May be left out (then stage_eom() does
 * it), as stage_header() may where no header rules are configured.
 */
struct verdict stage_eoh(struct session *session);

/* A piece of the body as the MTA gave it, where ruleset_needs() asks for it. A refusal, or CONTINUE. */
struct verdict stage_body(struct session *session, const void *chunk, size_t len);

/*
 * What becomes of the message: a refusal (of its headers), CONTINUE, DISCARD (also if all recipients were dropped) or
 * QUARANTINE. With CONTINUE and QUARANTINE session_header_edits() says what is to be changed.
 */
struct verdict stage_eom(struct session *session);

#endif
