/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * effects - what patterns of the envelope ask for while the checks go on: to hold or change the message, lines for the log,
 * and Postfix's DEFER_IF_PERMIT and DEFER_IF_REJECT.
 *
 * A stage collects them; they count once it has accepted. Those of the connection count for each of its messages.
 */
#ifndef POSTERN_LIB_POLICY_EFFECTS_H
#define POSTERN_LIB_POLICY_EFFECTS_H

#include "lib/base/arena.h"
#include "lib/policy/header_edit.h"
#include "lib/policy/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct effects {
    struct header_edits edits;
    struct verdict hold;      /* QUARANTINE; CONTINUE: none */
    struct verdict if_permit; /* TEMPFAIL: instead of an accept; CONTINUE: none */
    struct verdict if_reject; /* TEMPFAIL: instead of a refusal for good; CONTINUE: none */
    uint64_t spent_ns;        /* by slow patterns of this stage, which share one limit */
};

struct effects effects_none(void);

/*
 * Appends a copy of each edit to `edits`, in `arena`, but no edit of the same line with the same value twice. False: there are too many
 * (those that only log are then left out without a word).
 */
bool effects_add_edits(struct header_edits *edits, struct arena *arena,
                       const struct header_edits *more);

/* The verdict, or what a pattern wants instead of it: of `near` before `far`. `final`: nothing more is asked. */
struct verdict effects_defer(const struct effects *near, const struct effects *far,
                             struct verdict verdict, bool final);

#endif
