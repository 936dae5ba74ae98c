/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * verdict - what a stage decided, in a value: what to do, what to answer, which rule, and why.
 */
#ifndef POSTERN_LIB_POLICY_VERDICT_H
#define POSTERN_LIB_POLICY_VERDICT_H

#include "lib/mail/reply.h"

enum verdict_kind {
    VERDICT_CONTINUE,   /* no objection; later stages may have one */
    VERDICT_REJECT,     /* 5xx reply */
    VERDICT_TEMPFAIL,   /* 4xx reply */
    VERDICT_DISCARD,    /* accept, and drop the whole message at its end */
    VERDICT_QUARANTINE, /* accept, and hold the message */
    VERDICT_DROP,       /* accept this recipient, and deliver to the others only */
    VERDICT_WAIT,       /* nothing is decided: an answer of DNS has to be awaited first */
};

/* The rule that decided. file is NULL when no line of a file did. */
struct verdict_rule {
    const char *file;
    unsigned line;
    const char *key;
};

struct verdict {
    enum verdict_kind kind;
    struct reply reply;       /* with REJECT and TEMPFAIL */
    const char *quarantine;   /* with QUARANTINE: the text */
    struct verdict_rule rule; /* what decided, where a rule did */
    const char *list;         /* the DNS list that decided; NULL: none */
    const char *answer;       /* what DNS said, where that decided; NULL: it was not asked */
    const char *why;          /* with TEMPFAIL: what failed here, for the log; NULL: nothing did */
    const char
        *reason; /* one word: "access", "require_rdns", ...; NULL with CONTINUE if nothing spoke */
};

/*
 * All strings of a verdict live in the arena of the session or message that it was made for, or are constant.
 */

/* "continue", "reject", "tempfail", "discard", "quarantine", "drop". */
const char *verdict_kind_name(enum verdict_kind kind);

/* A verdict without objection. */
struct verdict verdict_continue(void);

/* REJECT or TEMPFAIL by the first digit of the reply. */
struct verdict verdict_refuse(struct reply reply, const char *reason);

/* Can nothing more be said now: is it a refusal, or VERDICT_WAIT? */
_Bool verdict_is_final(const struct verdict *verdict);

/* Is it a refusal, that is REJECT or TEMPFAIL? */
_Bool verdict_is_refusal(const struct verdict *verdict);

#endif
