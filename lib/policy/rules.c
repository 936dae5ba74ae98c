/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/rules.h"

#include "lib/policy/trace.h"

#include <stddef.h>

struct rules_result rules_nothing(void)
{
    return (struct rules_result){.verdict = verdict_continue()};
}

struct rules_result rules_accept(const struct access_match *match, const char *reason)
{
    struct rules_result result = {.verdict = verdict_continue(), .accepted = true};

    result.verdict.rule = match->rule;
    result.verdict.reason = reason;
    return result;
}

struct rules_result rules_refuse(int code, const char *dsn, const char *text, const char *reason)
{
    return (struct rules_result){.verdict = verdict_refuse(reply_make(code, dsn, text), reason)};
}

struct rules_result rules_wait(void)
{
    return (struct rules_result){.verdict = {.kind = VERDICT_WAIT}};
}

struct rules_result rules_tempfail(const char *reason)
{
    struct rules_result result = rules_refuse(
        451, "4.3.0", "Temporary system failure. Please try again later.", reason);

    result.internal = true;
    return result;
}

struct rules_result rules_apply(const struct access_match *match, const struct reply *reject,
                                const char *reason)
{
    struct rules_result result = rules_nothing();

    if (match->status != STATUS_OK) {
        return rules_tempfail(reason);
    }
    switch (match->action.kind) {
    case ACTION_OK:
    case ACTION_RELAY:
        return rules_accept(match, reason);
    case ACTION_SKIP:
        return result;
    case ACTION_REJECT:
        result.verdict = verdict_refuse(*reject, reason);
        break;
    case ACTION_ERROR:
        result.verdict = verdict_refuse(match->action.reply, reason);
        break;
    case ACTION_DISCARD:
        result.verdict.kind = VERDICT_DISCARD;
        break;
    case ACTION_QUARANTINE:
        result.verdict.kind = VERDICT_QUARANTINE;
        result.verdict.quarantine = match->action.quarantine;
        break;
    default:
        result = rules_tempfail(reason);
        break;
    }
    result.verdict.rule = match->rule;
    result.verdict.reason = reason;
    return result;
}

bool rules_decided(const struct rules_result *result)
{
    return result->accepted || result->verdict.kind != VERDICT_CONTINUE;
}

void rules_note(const struct session *session, const char *text)
{
    if (session->trace != NULL && session->trace->note != NULL) {
        session->trace->note(session->trace, text);
    }
}
