/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/compat_rules.h"

#include "lib/mail/address.h"
#include "lib/policy/canonical.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/ruleset.h"

#include <stddef.h>

/* Sendmail's texts end so. */
static struct reply with_suffix(struct session *session, struct reply reply, const char *suffix)
{
    reply.text = reply_clean(session->scratch,
                             arena_printf(session->scratch, "%s%s", reply.text, suffix));
    return reply;
}

static struct rules_result apply(struct session *session, const struct access_match *match)
{
    const struct config *config = ruleset_config(session->ruleset);
    const char *reason = "compat_check";
    struct rules_result result = rules_nothing();

    switch (match->action.kind) {
    case ACTION_DISCARD:
        result.verdict.kind = VERDICT_DROP;
        break;
    case ACTION_ERROR:
        result.verdict = verdict_refuse(
            with_suffix(session, match->action.reply, " error from check_compat"), reason);
        break;
    case ACTION_TEMP:
        result.verdict = verdict_refuse(
            with_suffix(session, match->action.reply, " error from check_compat. Try again later"),
            reason);
        break;
    case ACTION_REJECT:
        result.verdict = verdict_refuse(config->reject, reason);
        break;
    default:
        return result; /* everything else accepts */
    }
    result.verdict.rule = match->rule;
    result.verdict.reason = reason;
    return result;
}

static struct rules_result check_access(struct session *session, const char *recipient)
{
    struct access_search search = access_search_init(session, "compat:", true);

    if (!session_has(session, FEATURE_COMPAT_CHECK) || canonical_is_empty(session->sender)) {
        return rules_nothing();
    }
    struct arena *arena = session->scratch;
    const char *key = arena_printf(arena, "%s<@>%s",
                                   address_plain(arena, address_unbracket(arena, session->sender)),
                                   address_plain(arena, address_unbracket(arena, recipient)));
    struct access_match match = access_find_exact(&search, key);

    if (match.status == STATUS_TEMPFAIL) {
        return rules_tempfail("compat_check");
    }
    return match.status == STATUS_OK ? apply(session, &match) : rules_nothing();
}

struct rules_result compat_rules_check(struct session *session, const char *recipient)
{
    struct rules_result pattern = regex_rules_check_pair(session, recipient);

    return rules_decided(&pattern) ? pattern : check_access(session, recipient);
}
