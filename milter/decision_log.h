/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * decision_log - the lines that say what was decided, in logfmt (postern(8) lists the fields).
 *
 * One line for each refusal, for each change of a message and for each message at its end; each lookup at level debug.
 */
#ifndef POSTERN_MILTER_DECISION_LOG_H
#define POSTERN_MILTER_DECISION_LOG_H

#include "lib/base/log.h"
#include "lib/base/strbuf.h"
#include "lib/policy/header_edit.h"
#include "lib/policy/session.h"
#include "lib/policy/trace.h"
#include "lib/policy/verdict.h"
#include "milter/stats.h"

#define DECISION_LOG_ID_SIZE 16

/* What the lines of one session share; lives as long as the session. */
struct decision_log {
    struct trace
        trace; /* first: lookups at level debug; give it to session_init() if the level is on */
    struct logger *logger;
    char id[DECISION_LOG_ID_SIZE]; /* in all lines of the session, and in those of no other one */
    struct strbuf line;            /* one buffer for all lines */
    struct strbuf prefix;          /* what all lines begin with; empty: to be made */
    struct strbuf recipients;      /* the first few accepted ones, for the line of the message */
    unsigned recipient_count;
};

/* A log with a new id. */
void decision_log_init(struct decision_log *log, struct logger *logger);
void decision_log_fini(struct decision_log *log);

/* To be called when the facts of the client have changed: at connect and HELO. */
void decision_log_client_changed(struct decision_log *log);

/* A new message begins: forgets the recipients. */
void decision_log_begin_message(struct decision_log *log);
void decision_log_add_recipient(struct decision_log *log, const char *recipient);

/* A refused command: `sender` as typed, `recipient` NULL at MAIL, `queue_id` NULL if not known. */
void decision_log_refusal(struct decision_log *log, const struct session *session,
                          const char *queue_id, enum stats_stage stage, const char *sender,
                          const char *recipient, const struct verdict *verdict);

/* A message at its end, or at the end of its header if it is refused there. */
void decision_log_message(struct decision_log *log, const struct session *session,
                          const char *queue_id, enum stats_stage stage,
                          const struct verdict *verdict);

/* What a rule changed in the message, or wants to have logged (WARN: at level warning). */
void decision_log_edit(struct decision_log *log, const struct session *session,
                       const char *queue_id, const struct header_edit *edit);

/* What kept the daemon from deciding; the client gets a temporary failure. */
void decision_log_failure(struct decision_log *log, const struct session *session,
                          enum stats_stage stage, const char *what);

/* A line at level debug about the session: an event such as "connect" or "abort". */
void decision_log_event(struct decision_log *log, const struct session *session, const char *event);

#endif
