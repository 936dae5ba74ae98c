/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/classes.h"

#include "lib/base/xalloc.h"
#include "lib/mail/domain.h"
#include "lib/mail/idna.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/session.h"
#include "lib/table/netwalk.h"
#include "lib/table/table_list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct classes {
    struct table *local;       /* w */
    struct table *own_domains; /* m */
    struct table *relay;       /* R */
};

/* What FEATURE(block_bad_helo) adds to class w. */
static const char *const loopback_literals[] = {
    "[127.0.0.1]",
    "[ipv6:0:0:0:0:0:0:0:1]",
};

static struct table *load_list(const char *name, const char *path, const struct config *config,
                               struct diag *diag)
{
    if (*path == '\0') {
        return table_list_new(name, config->path, NULL, 0, diag);
    }
    return table_list_open(name, path, diag);
}

struct classes *classes_load(const struct config *config, struct diag *diag)
{
    struct classes *classes = xcalloc(1, sizeof(*classes));

    classes->local = load_list("local_host_names", config->local_host_names, config, diag);
    classes->relay = load_list("relay_domains", config->relay_domains, config, diag);
    classes->own_domains = table_list_new("local_domains", config->path,
                                          config->local_domains.items, config->local_domains.count,
                                          diag);
    if (classes->local == NULL || classes->relay == NULL || classes->own_domains == NULL) {
        classes_free(&classes);
    }
    return classes;
}

void classes_free(struct classes **classes)
{
    if (*classes == NULL) {
        return;
    }
    table_unref(&(*classes)->local);
    table_unref(&(*classes)->relay);
    table_unref(&(*classes)->own_domains);
    free(*classes);
    *classes = NULL;
}

/* Lists do not fail, so "not found" is all that remains beside a hit. */
static bool holds(const struct session *session, const struct table *table, const char *key)
{
    struct table_value value;

    return table_count(table) > 0 &&
           table_find(table, key, strlen(key), session->scratch, &value) == STATUS_OK;
}

/* A lower-case copy with A-labels in `buf`; false if it is too long to be in any list. */
static bool fold_into(char buf[DOMAIN_MAX_LEN + 1], const char *name)
{
    char ascii[IDNA_NAME_SIZE];

    if (idna_is_needed(name) && idna_to_ascii(name, ascii)) {
        name = ascii;
    }
    size_t len = strlen(name);

    if (len == 0 || len > DOMAIN_MAX_LEN) {
        return false;
    }
    memcpy(buf, name, len + 1);
    domain_fold(buf);
    return true;
}

/* "mx" of "mx.example.org". */
static bool is_first_label(const char *name, const char *hostname)
{
    size_t len = strcspn(hostname, ".");

    return len > 0 && strlen(name) == len && strncasecmp(name, hostname, len) == 0;
}

bool classes_is_local(const struct session *session, const char *name)
{
    char folded[DOMAIN_MAX_LEN + 1];

    name = domain_full_literal(session->scratch, name);
    if (!fold_into(folded, name)) {
        return false;
    }
    if (strcmp(folded, "localhost") == 0 || domain_equal(name, session->hostname) ||
        domain_equal(name, session->own_literal) || is_first_label(name, session->hostname)) {
        return true;
    }
    if (session_has(session, FEATURE_BLOCK_BAD_HELO)) {
        for (size_t i = 0; i < sizeof(loopback_literals) / sizeof(loopback_literals[0]); i++) {
            if (strcmp(folded, loopback_literals[i]) == 0) {
                return true;
            }
        }
    }
    return holds(session, ruleset_classes(session->ruleset)->local, folded);
}

/* Does the list hold the name or what begins at a later token of it? */
static bool holds_suffix(const struct session *session, const struct table *table, const char *name)
{
    char folded[DOMAIN_MAX_LEN + 1];

    if (table_count(table) == 0 || !fold_into(folded, name)) {
        return false;
    }
    for (const char *at = folded; at != NULL; at = domain_next_token(at)) {
        if (holds(session, table, at)) {
            return true;
        }
    }
    return false;
}

bool classes_is_own_domain(const struct session *session, const char *name)
{
    const char *domain = session->domain;

    if (*domain != '\0' && domain_ends_in(name, domain)) {
        size_t before = strlen(name) - strlen(domain);

        if (before == 0 || domain_is_operator(name[before - 1])) {
            return true;
        }
    }
    return holds_suffix(session, ruleset_classes(session->ruleset)->own_domains, name);
}

bool classes_is_relay_domain(const struct session *session, const char *name)
{
    const struct table *relay = ruleset_classes(session->ruleset)->relay;
    char folded[DOMAIN_MAX_LEN + 1];

    if (session_has(session, FEATURE_RELAY_HOSTS_ONLY)) {
        return fold_into(folded, name) && holds(session, relay, folded);
    }
    return holds_suffix(session, relay, name);
}

bool classes_is_relay_client(const struct session *session)
{
    const struct table *relay = ruleset_classes(session->ruleset)->relay;
    char key[NETADDR_TEXT_SIZE];
    struct netwalk walk;

    if (session->client_net.family == NETADDR_NONE) {
        return false;
    }
    if (session_has(session, FEATURE_BLOCK_BAD_HELO) &&
        (strcmp(session->client_addr, "127.0.0.1") == 0 ||
         strcmp(session->client_addr, "IPv6:0:0:0:0:0:0:0:1") == 0)) {
        return true;
    }
    if (table_count(relay) == 0) {
        return false;
    }
    netwalk_init(&walk, relay, &session->client_net);
    while (netwalk_next(&walk, key)) {
        if (holds(session, relay, key)) {
            return true;
        }
    }
    return false;
}
