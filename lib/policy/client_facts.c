/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/client_facts.h"

#include "lib/policy/classes.h"
#include "lib/policy/relay_rules.h"
#include "lib/policy/session.h"

#include <stddef.h>
#include <strings.h>

const char *const client_facts_words[] = {"local", "authenticated", "relay", NULL};

static bool is_loopback(const struct netaddr *addr)
{
    static const unsigned char one[16] = {[15] = 1};
    struct netaddr ipv6 = {.family = NETADDR_IPV6, .bits = 128};

    for (size_t i = 0; i < sizeof(one); i++) {
        ipv6.bytes[i] = one[i];
    }
    return (addr->family == NETADDR_IPV4 && addr->bytes[0] == 127) || netaddr_equal(addr, &ipv6);
}

/* A client name in class w counts only if DNS confirmed it: session_connect() gives "[address]" otherwise. */
static bool is_local(const struct session *session)
{
    return *session->client_addr == '\0' || is_loopback(&session->client_net) ||
           classes_is_local(session, session->client_name);
}

static bool is_logged_in(const struct session *session)
{
    return *session->login.authen != '\0' && strcasecmp(session->login.type, "ANONYMOUS") != 0;
}

unsigned client_facts_known(const struct session *session)
{
    return (is_local(session) ? CLIENT_LOCAL : 0u) |
           (is_logged_in(session) ? CLIENT_AUTHENTICATED : 0u);
}

enum status client_facts_ask(struct session *session, unsigned *facts_out)
{
    bool relays = false;
    enum status status = relay_rules_client_relays(session, &relays);

    *facts_out = client_facts_known(session) | (relays ? CLIENT_RELAY : 0u);
    return status;
}
