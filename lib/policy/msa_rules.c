/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/msa_rules.h"

#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/policy/canonical.h"
#include "lib/policy/classes.h"

#include <string.h>

struct rules_result msa_rules_check_login(const struct session *session)
{
    if (session->daemon == NULL || !session->daemon->require_auth ||
        *session->login.authen != '\0') {
        return rules_nothing();
    }
    return rules_refuse(530, "5.7.0", "Authentication required", "require_auth");
}

static bool asked_for(const struct session *session)
{
    return session->daemon != NULL && session->daemon->require_fqdn &&
           *session->client_name != '\0' && !classes_is_local(session, session->client_name);
}

/* The domain as typed; NULL if there is none. */
static const char *typed_domain(struct session *session, const char *typed)
{
    const char *address = address_strip(session->scratch, typed);
    const char *at = strrchr(address, '@');

    return at == NULL || at[1] == '\0' ? NULL : at + 1;
}

/* A name with a dot inside, or a literal. */
static bool is_whole(const char *domain)
{
    const char *dot = strchr(domain + 1, '.');

    return domain_is_literal(domain) || (dot != NULL && dot[1] != '\0');
}

struct rules_result msa_rules_check_sender(struct session *session, const char *typed)
{
    if (!asked_for(session) || canonical_is_empty(typed)) {
        return rules_nothing();
    }
    const char *domain = typed_domain(session, typed);

    if (domain == NULL) {
        const char *text = arena_printf(
            session->scratch, "Domain name required for sender address %s",
            address_plain(session->scratch, address_strip(session->scratch, typed)));

        return rules_refuse(553, "5.5.4", reply_clean(session->scratch, text), "require_fqdn");
    }
    return is_whole(domain)
               ? rules_nothing()
               : rules_refuse(553, "5.5.4", "Real domain name required for sender address",
                              "require_fqdn");
}

struct rules_result msa_rules_check_recipient(struct session *session, const char *typed)
{
    if (!asked_for(session)) {
        return rules_nothing();
    }
    const char *domain = typed_domain(session, typed);
    const char *address = address_strip(session->scratch, typed);

    /* RFC 5321, 4.5.1: postmaster needs no domain. */
    if ((domain == NULL && domain_equal(address, "postmaster")) ||
        (domain != NULL && is_whole(domain))) {
        return rules_nothing();
    }
    return rules_refuse(553, "5.5.4", "Fully qualified domain name required", "require_fqdn");
}
