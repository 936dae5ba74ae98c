/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/sender_rules.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/canonical.h"
#include "lib/policy/classes.h"
#include "lib/policy/dns_sender.h"
#include "lib/policy/regex_rules.h"
#include "lib/policy/ruleset.h"

#include <string.h>

/* The typed address without the brackets that must stand around it. */
static const char *without_brackets(struct arena *arena, const char *typed)
{
    size_t len = strlen(typed);

    if (len >= 2 && typed[0] == '<' && typed[len - 1] == '>') {
        return arena_strndup(arena, typed + 1, len - 2);
    }
    return typed;
}

/* Does the address as typed claim to come from this very host? */
static bool claims_localhost(const struct session *session, const char *typed)
{
    static const char *const literals[] = {
        "@localhost",
        "@[127.0.0.1]",
        "@[IPv6:0:0:0:0:0:0:0:1]",
        "@[IPv6:::1]",
    };
    const char *at = strrchr(typed, '@');

    if (at == NULL || (at[1] != '[' && at[1] != 'l' && at[1] != 'L')) {
        return false;
    }
    const char *address = without_brackets(session->scratch, typed);

    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        if (domain_ends_in(address, literals[i])) {
            return true;
        }
    }
    if (*session->domain != '\0' &&
        domain_ends_in(address, arena_printf(session->scratch, "@localhost.%s", session->domain))) {
        return true;
    }
    return !session_has(session, FEATURE_NOUUCP_NOSPECIAL) &&
           !session_has(session, FEATURE_NOUUCP_REJECT) &&
           domain_ends_in(address, "@localhost.UUCP");
}

/* The spammers map: hosts with their parents, and full addresses. */
static struct rules_result check_spammers(struct session *session, const struct canonical *sender)
{
    const struct config *config = ruleset_config(session->ruleset);
    struct access_search search = {
        .session = session,
        .table = ruleset_spammers(session->ruleset),
        .tag = "",
    };
    const char *domain = sender->domain == NULL ? session->hostname : sender->domain;

    if (search.table == NULL) {
        return rules_nothing();
    }
    struct access_match match = access_find(&search, "FD", sender->local, domain);

    return match.status == STATUS_NOTFOUND ? rules_nothing()
                                           : rules_apply(&match, &config->reject, "spammers");
}

static struct rules_result check_unqualified(struct session *session,
                                             const struct canonical *sender)
{
    if (sender->domain != NULL || *session->client_addr == '\0' ||
        session_has(session, FEATURE_ACCEPT_UNQUALIFIED_SENDERS)) {
        return rules_nothing();
    }
    const char *text = arena_printf(
        session->scratch, "Domain name required for sender address %s",
        address_plain(session->scratch, canonical_typed(session, sender)));

    return rules_refuse(553, "5.5.4", reply_clean(session->scratch, text), "unqualified_sender");
}

static struct rules_result check_access(struct session *session, const struct canonical *sender)
{
    const struct config *config = ruleset_config(session->ruleset);
    struct access_search search = access_search_init(session, "from:", false);
    struct access_match match = access_find(&search, sender->domain == NULL ? "U" : "FUD",
                                            sender->local, sender->domain);

    if (match.status != STATUS_NOTFOUND &&
        !(match.status == STATUS_OK && match.action.kind == ACTION_SKIP)) {
        return rules_apply(&match, &config->reject, "access");
    }
    return rules_nothing();
}

struct rules_result sender_rules_check(struct session *session, const char *typed)
{
    struct canonical sender;
    struct reply error;

    if (canonical_is_empty(typed)) {
        return regex_rules_check_sender(session,
                                        NULL); /* RFC 5321, 4.5.5: bounces must get through */
    }
    bool is_address = canonical_sender(session, typed, &sender, &error);
    struct rules_result result = is_address ? regex_rules_check_sender(session, &sender)
                                            : rules_nothing();

    if (rules_decided(&result)) {
        return result;
    }
    if (!session_has(session, FEATURE_ACCEPT_UNQUALIFIED_SENDERS) &&
        claims_localhost(session, typed) && *session->client_name != '\0' &&
        !classes_is_local(session, session->client_name)) {
        return rules_refuse(553, "5.5.4", "Real domain name required for sender address",
                            "unqualified_sender");
    }
    if (!is_address) {
        return (struct rules_result){.verdict = verdict_refuse(error, "syntax")};
    }
    result = check_access(session, &sender);
    if (!rules_decided(&result)) {
        result = check_spammers(session, &sender);
    }
    if (!rules_decided(&result)) {
        result = check_unqualified(session, &sender);
    }
    return rules_decided(&result) ? result : dns_sender_check(session, &sender);
}
