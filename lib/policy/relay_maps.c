/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/relay_maps.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/canonical.h"
#include "lib/policy/classes.h"
#include "lib/policy/relay_answer.h"
#include "lib/policy/relay_limits.h"
#include "lib/policy/relay_login.h"
#include "lib/policy/relay_recipient.h"
#include "lib/policy/ruleset.h"
#include "lib/relay/relay_lookup.h"

#include <string.h>
#include <strings.h>

static enum status status_of(enum relay_answer answer)
{
    return answer == RELAY_YES ? STATUS_OK : answer == RELAY_NO ? STATUS_NOTFOUND : STATUS_TEMPFAIL;
}

/* The client of the session from now on; false: the key is no address. */
static bool set_address(struct session *session, const char *key)
{
    char text[NETADDR_TEXT_SIZE];

    arena_reset(session->scratch);
    session->client_addr = "";
    if (!netaddr_parse(key, &session->client_net)) {
        return false;
    }
    session->client_addr = arena_strdup(session->scratch,
                                        netaddr_format(&session->client_net, text));
    return true;
}

enum status relay_maps_relayers(const struct config *config, const struct relay_lookup *relayers,
                                const char *key)
{
    struct netaddr client;

    if (relayers == NULL || relay_limits_are_set(config) || !netaddr_parse(key, &client)) {
        return STATUS_NOTFOUND;
    }
    return relayers->find(relayers->ctx, &client, NULL);
}

/* A key has no sender and no number of recipients: what has limits cannot be promised to a table. */
static bool logins_count(const struct session *session)
{
    if (relay_limits_are_set(ruleset_config(session->ruleset))) {
        rules_note(session, "relaying: a table cannot keep the limits of relay_store, so logins "
                            "count for nothing in it");
        return false;
    }
    return true;
}

static enum relay_answer ask_address(struct session *session)
{
    struct access_search search = access_search_init(session, "connect:", false);

    if (logins_count(session) && relay_login_permits(session)) {
        return RELAY_YES;
    }
    if (classes_is_relay_client(session)) {
        return relay_answer_yes(session, "relaying: the client's address is in relay_domains");
    }
    struct access_match match = access_find_client(&search);

    return relay_answer_of(&match);
}

static enum relay_answer ask_name(struct session *session, const char *name)
{
    struct access_search search = access_search_init(session, "connect:", false);

    if ((session_has(session, FEATURE_RELAY_ENTIRE_DOMAIN) &&
         classes_is_own_domain(session, name)) ||
        classes_is_relay_domain(session, name)) {
        return relay_answer_yes(session, "relaying: the client's name is one that we relay for");
    }
    struct access_match match = session_has(session, FEATURE_RELAY_HOSTS_ONLY)
                                    ? access_find_exact(&search, name)
                                    : access_find_domain(&search, name);

    return relay_answer_of(&match);
}

enum status relay_maps_client(struct session *session, const char *key)
{
    if (set_address(session, key)) {
        return status_of(ask_address(session));
    }
    if (!domain_is_plain(key) || strcasecmp(key, "unknown") == 0) {
        return STATUS_NOTFOUND;
    }
    return status_of(ask_name(session, domain_normalize(session->scratch, key)));
}

/* A domain without its user: what depends on the user is not asked. */
static enum relay_answer ask_domain(struct session *session, const char *domain)
{
    struct canonical recipient = {.local = "", .domain = domain};

    if (session_has(session, FEATURE_RELAYTOFULLADDRESS)) {
        return relay_recipient_ask_classes(session, domain) ? RELAY_YES : RELAY_NO;
    }
    return relay_recipient_ask_remote(session, &recipient);
}

enum status relay_maps_recipient(struct session *session, const char *key)
{
    struct canonical recipient = {0};
    struct reply error;

    (void)set_address(session, "");
    if (domain_is_plain(key)) {
        return status_of(ask_domain(session, domain_normalize(session->scratch, key)));
    }
    if (!address_is_plain(key) ||
        !canonical_recipient(session, arena_printf(session->scratch, "<%s>", key), &recipient,
                             &error) ||
        recipient.domain == NULL || relay_recipient_hides_host(session, &recipient)) {
        return STATUS_NOTFOUND;
    }
    return status_of(relay_recipient_ask_remote(session, &recipient));
}
