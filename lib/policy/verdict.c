/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/verdict.h"

#include <stdbool.h>
#include <stddef.h>

const char *verdict_kind_name(enum verdict_kind kind)
{
    static const char *const names[] = {
        [VERDICT_CONTINUE] = "continue",
        [VERDICT_REJECT] = "reject",
        [VERDICT_TEMPFAIL] = "tempfail",
        [VERDICT_DISCARD] = "discard",
        [VERDICT_QUARANTINE] = "quarantine",
        [VERDICT_DROP] = "drop",
        [VERDICT_WAIT] = "wait",
    };

    return names[kind];
}

struct verdict verdict_continue(void)
{
    return (struct verdict){.kind = VERDICT_CONTINUE};
}

struct verdict verdict_refuse(struct reply reply, const char *reason)
{
    return (struct verdict){
        .kind = reply.code < 500 ? VERDICT_TEMPFAIL : VERDICT_REJECT,
        .reply = reply,
        .reason = reason,
    };
}

bool verdict_is_refusal(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_REJECT || verdict->kind == VERDICT_TEMPFAIL;
}

bool verdict_is_final(const struct verdict *verdict)
{
    return verdict_is_refusal(verdict) || verdict->kind == VERDICT_WAIT;
}
