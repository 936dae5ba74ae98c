/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * action - a right-hand side, parsed. The only place that knows the verbs.
 *
 * Two dialects: Sendmail's (access, spammers), and Postfix's with most of Sendmail's beside it (regex, header_checks).
 */
#ifndef POSTERN_LIB_POLICY_ACTION_H
#define POSTERN_LIB_POLICY_ACTION_H

#include "lib/base/arena.h"
#include "lib/mail/reply.h"

#include <stdbool.h>

enum action_kind {
    ACTION_OK,
    ACTION_RELAY,
    ACTION_REJECT,  /* with the configured text */
    ACTION_DISCARD, /* of patterns: with `text`, for the log */
    ACTION_SKIP,
    ACTION_FRIEND,
    ACTION_HATER,
    ACTION_QUARANTINE, /* of patterns also HOLD */
    ACTION_ERROR,      /* with a reply of its own; of patterns also REJECT text, DEFER */
    ACTION_SUBJECT,    /* of CertIssuer: only: ask for CertSubject: too */
    ACTION_TEMP,       /* TEMP:text, of Compat: only */

    /* of patterns only */
    ACTION_DUNNO,           /* as if nothing had matched */
    ACTION_DEFER_IF_PERMIT, /* regex: with the reply if nothing refuses */
    ACTION_DEFER_IF_REJECT, /* regex: with the reply if something refuses for good */
    ACTION_INFO,            /* `text` for the log, and go on */
    ACTION_WARN,            /* likewise */
    ACTION_PREPEND,         /* `text` is a header, put in front */
    ACTION_BCC,             /* `text` is one more recipient */
    ACTION_REDIRECT,        /* `text` is the recipient instead of all others */

    /* of header_checks only */
    ACTION_IGNORE,  /* the header goes */
    ACTION_STRIP,   /* likewise; `text` for the log */
    ACTION_REPLACE, /* `text` is the header instead */
    ACTION_PASS,    /* the message's other headers are not asked for; `text` for the log */
};

struct action {
    enum action_kind kind;
    struct reply reply;     /* with ERROR, TEMP, DEFER_IF_PERMIT, DEFER_IF_REJECT */
    const char *quarantine; /* with QUARANTINE */
    const char *text;       /* see above; "" where there is none, never NULL */
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

/* Which patterns a right-hand side belongs to. */
enum action_table { ACTION_OF_REGEX, ACTION_OF_HEADERS };

/*
 * The same for the right-hand side of a pattern, $1 and so on already put in: postern-regex(5), postern-header_checks(5).
 * Texts are taken as they are, parentheses and quotes with them (behind "ERROR:", "QUARANTINE:" and "TEMP:", and in a reply
 * that begins with a quote, quotes go), so that no quote or parenthesis that a client sent in $1 spoils them.
 */
bool action_parse_pattern(enum action_table table, const char *text, struct arena *arena,
                          struct action *action_out, struct action_problem *problem_out);

/*
 * Could it be the right-hand side of a pattern, "x" standing for each $n? True also for "BCC $1", which is no address with "x" but may
 * become one.
 */
bool action_may_be_pattern(enum action_table table, const char *text, bool varies,
                           struct arena *arena, struct action *action_out,
                           struct action_problem *problem_out);

/* Is it "DISCARD:text", as Compat: entries may write it? The text is for people: it means DISCARD. */
bool action_is_discard_with_text(const char *text);

/* The verb in capitals, for messages. */
const char *action_kind_name(enum action_kind kind);

#endif
