/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * message_headers - what header rules decide of one message: postern-header_checks(5).
 *
 * Each field is asked for as it comes, and so is each header in the body where mime_header_checks is set; rules about the
 * header as a whole come at its end. The first rule that matches decides for that field. As in Postfix, REJECT, an
 * error, DISCARD, PASS and REDIRECT end all further checks of the message; HOLD, INFO, WARN, BCC and changes do not. What was
 * decided is in session->refusal, discard, quarantine and edits.
 */
#ifndef POSTERN_LIB_POLICY_MESSAGE_HEADERS_H
#define POSTERN_LIB_POLICY_MESSAGE_HEADERS_H

#include "lib/policy/session.h"
#include "lib/policy/verdict.h"

#include <stddef.h>

/* One field of the own header: see stage_header(). Its verdict lives in the session's scratch. */
struct verdict message_headers_field(struct session *session, const char *name, const char *value);

/* The end of the header; further calls do nothing. */
void message_headers_end(struct session *session);

/* A piece of the body. */
void message_headers_body(struct session *session, const char *data, size_t len);

/* The end of the message. */
void message_headers_finish(struct session *session);

#endif
