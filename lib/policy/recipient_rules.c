/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/recipient_rules.h"

#include "lib/mail/domain.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/ruleset.h"

#include <string.h>

/* As in the Sendmail of the old name: a bare user name is a key too, for local recipients. */
static struct access_match find_bare_user(const struct access_search *search,
                                          const struct canonical *recipient)
{
    if (!session_has(search->session, FEATURE_BLACKLIST_RECIPIENTS) ||
        (recipient->domain != NULL && !recipient->is_local)) {
        return (struct access_match){.status = STATUS_NOTFOUND};
    }
    return access_find_exact(search, recipient->local);
}

static struct rules_result check_blocklist(struct session *session,
                                           const struct canonical *recipient)
{
    const struct config *config = ruleset_config(session->ruleset);
    struct access_search search = access_search_init(session, "to:", false);
    const char *order = recipient->domain == NULL ? "U" : recipient->is_local ? "FUD" : "FD";
    struct access_match match = access_find(&search, order, recipient->local, recipient->domain);

    if (match.status == STATUS_NOTFOUND && !match.skip) {
        match = find_bare_user(&search, recipient);
    }
    if (match.status == STATUS_NOTFOUND) {
        return rules_nothing();
    }
    struct rules_result result = rules_apply(&match, &config->recipient_reject, "access");

    /* Only refusals, DISCARD and QUARANTINE end this stage; OK says nothing about what comes next. */
    result.accepted = false;
    return result;
}

struct rules_result recipient_rules_check(struct session *session, const char *typed,
                                          struct canonical *recipient_out)
{
    struct reply error;

    if (canonical_is_empty(typed)) {
        return rules_refuse(553, "5.0.0", "User address required", "syntax");
    }
    if (!canonical_recipient(session, typed, recipient_out, &error)) {
        return (struct rules_result){.verdict = verdict_refuse(error, "syntax")};
    }
    struct rules_result pattern = regex_rules_check_recipient(session, recipient_out);

    if (rules_decided(&pattern)) {
        pattern.accepted = false; /* likewise */
        return pattern;
    }
    return session_has(session, FEATURE_BLOCKLIST_RECIPIENTS)
               ? check_blocklist(session, recipient_out)
               : rules_nothing();
}

struct rules_result recipient_rules_check_spared(struct session *session, const char *typed)
{
    bool friend = session_has(session, FEATURE_DELAY_CHECKS_FRIEND);
    bool hater = session_has(session, FEATURE_DELAY_CHECKS_HATER);
    struct access_search search = access_search_init(session, "spam:", true);
    struct canonical recipient;
    struct reply error;

    if ((!friend && !hater) || !canonical_sender(session, typed, &recipient, &error)) {
        return rules_nothing();
    }
    bool local = recipient.domain == NULL || recipient.is_local;
    const char *domain = recipient.domain == NULL ? session->hostname : recipient.domain;
    struct access_match match = access_find(&search, local ? "FDU" : "FD", recipient.local, domain);

    if (match.status == STATUS_TEMPFAIL) {
        return rules_tempfail("access");
    }
    bool has_value = match.status == STATUS_OK;

    if (friend && has_value && match.action.kind == ACTION_FRIEND) {
        return rules_accept(&match, "delay_checks_friend");
    }
    if (hater && !(has_value && match.action.kind == ACTION_HATER)) {
        return rules_accept(&match, "delay_checks_hater");
    }
    return rules_nothing();
}
