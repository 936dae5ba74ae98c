/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * action - a right-hand side, parsed. The only place that knows the verbs.
 */
#ifndef POSTERN_LIB_POLICY_ACTION_H
#define POSTERN_LIB_POLICY_ACTION_H

#include "lib/base/arena.h"
#include "lib/mail/reply.h"

#include <stdbool.h>

enum action_kind {
    ACTION_OK,
    ACTION_RELAY,
    ACTION_REJECT, /* with the configured text */
    ACTION_DISCARD,
    ACTION_SKIP,
    ACTION_FRIEND,
    ACTION_HATER,
    ACTION_QUARANTINE,
    ACTION_ERROR,   /* with a reply of its own */
    ACTION_SUBJECT, /* of CertIssuer: only: ask for CertSubject: too */
    ACTION_TEMP,    /* TEMP:text, of Compat: only */
};

struct action {
    enum action_kind kind;
    struct reply reply;     /* with ERROR */
    const char *quarantine; /* with QUARANTINE */
};

/* Why a right-hand side was refused or is doubtful. Both live in the arena or are constant. */
struct action_problem {
    const char *text; /* NULL: no problem */
    const char *hint; /* may be NULL */
};

/*
 * Parses a right-hand side in Sendmail's dialect (access, spammers). False with *problem_out set if it is none. True with
 * problem_out->text set: it works, and a warning is due (reply code against enhanced code, a comment that
 * will not be sent). problem_out may be NULL. Strings of *action_out live in the arena.
 */
bool action_parse(const char *text, struct arena *arena, struct action *action_out,
                  struct action_problem *problem_out);

/* Is it "DISCARD:text", as Compat: entries may write it? The text is for people: it means DISCARD. */
bool action_is_discard_with_text(const char *text);

/* The verb in capitals, for messages. */
const char *action_kind_name(enum action_kind kind);

#endif
