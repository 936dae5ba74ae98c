/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/relay_recipient.h"

#include "lib/mail/address.h"
#include "lib/policy/classes.h"
#include "lib/policy/ruleset.h"

#include <string.h>

static bool has(const struct session *session, enum config_feature feature)
{
    return session_has(session, feature);
}

/* nouucp_reject, nopercenthack_reject: such an address matches nothing and is not local. */
static bool is_refused_form(const struct session *session, const struct canonical *recipient)
{
    return (has(session, FEATURE_NOUUCP_REJECT) && recipient->has_bang) ||
           (has(session, FEATURE_NOPERCENTHACK_REJECT) && recipient->has_percent);
}

/*
 * Sendmail keeps a local part that is quoted with blanks in it, or has a backslash before an operator. An MTA that takes
 * quotes off first, as Postfix does, finds another host in it and would relay, so such an address is nobody's here.
 */
static bool names_host(struct session *session, const struct canonical *recipient)
{
    const char *plain = address_plain(session->scratch, recipient->local);
    bool local = recipient->domain == NULL || recipient->is_local;

    if (recipient->drops_host) {
        return true;
    }
    if (!local &&
        (has(session, FEATURE_LOOSE_RELAY_CHECK) || has(session, FEATURE_RELAYTOFULLADDRESS))) {
        return false;
    }
    return strchr(plain, '@') != NULL ||
           (strchr(plain, '%') != NULL && !has(session, FEATURE_NOPERCENTHACK_NOSPECIAL)) ||
           (strchr(plain, '!') != NULL && !has(session, FEATURE_NOUUCP_NOSPECIAL));
}

static enum relay_answer ask_map_to(struct session *session, const struct canonical *recipient)
{
    struct access_search search = access_search_init(session, "to:", false);
    struct access_search tagged = access_search_init(session, "to:", true);
    bool full = has(session, FEATURE_RELAYTOFULLADDRESS);
    const char *local = recipient->local;
    struct access_match match = {.status = STATUS_NOTFOUND};

    if (*local == '"') {
        local = address_plain(session->scratch, local);
    }
    if (has(session, FEATURE_RELAY_HOSTS_ONLY)) {
        if (full) {
            match = access_find_exact(
                &tagged, arena_printf(session->scratch, "%s@%s", local, recipient->domain));
        }
        if (match.status == STATUS_NOTFOUND) {
            match = access_find_exact(&search, recipient->domain);
        }
        return relay_answer_of(&match);
    }
    if (full) {
        match = access_find(&search, "FD", recipient->local, recipient->domain);
        if (match.status == STATUS_NOTFOUND) {
            match = access_find_exact(&search, arena_printf(session->scratch, "%s@", local));
        }
    } else {
        match = access_find_domain(&search, recipient->domain);
    }
    return relay_answer_of(&match);
}

bool relay_recipient_hides_host(struct session *session, const struct canonical *recipient)
{
    return is_refused_form(session, recipient) || names_host(session, recipient);
}

static bool is_of_own_domain(struct session *session, const char *domain)
{
    if (!has(session, FEATURE_RELAY_ENTIRE_DOMAIN) || !classes_is_own_domain(session, domain)) {
        return false;
    }
    rules_note(session, "relaying: the recipient's domain is in local_domains");
    return true;
}

bool relay_recipient_ask_classes(struct session *session, const char *domain)
{
    if (is_of_own_domain(session, domain)) {
        return true;
    }
    if (classes_is_relay_domain(session, domain)) {
        rules_note(session, "relaying: the recipient's domain is in relay_domains");
        return true;
    }
    return false;
}

enum relay_answer relay_recipient_ask_remote(struct session *session,
                                             const struct canonical *recipient)
{
    return relay_recipient_ask_classes(session, recipient->domain) ? RELAY_YES
                                                                   : ask_map_to(session, recipient);
}

enum relay_answer relay_recipient_ask(struct session *session, const struct canonical *recipient,
                                      bool permitted)
{
    if (permitted) {
        return relay_answer_yes(session, "relaying: a To: pattern says RELAY");
    }
    if (recipient->is_local && !is_of_own_domain(session, recipient->domain)) {
        rules_note(session, "relaying: the recipient's domain is local");
    }
    return recipient->is_local ? RELAY_YES : relay_recipient_ask_remote(session, recipient);
}
