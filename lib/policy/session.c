/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/session.h"

#include "lib/mail/domain.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/header_state.h"
#include "lib/policy/ruleset.h"

#include <string.h>
#include <strings.h>

#define UNKNOWN_HOST "localhost" /* where neither the configuration nor the MTA says a name */

static const struct session_login no_login = {"", "", "", "", ""};

static const char *const resolve_names[] = {
    [RESOLVE_OK] = "OK",
    [RESOLVE_FAIL] = "FAIL",
    [RESOLVE_TEMP] = "TEMP",
    [RESOLVE_FORGED] = "FORGED",
};

const char *session_resolve_name(enum session_resolve resolve)
{
    return resolve_names[resolve];
}

void session_init(struct session *session, struct ruleset *ruleset, struct trace *trace)
{
    struct arena *arena = arena_new();

    *session = (struct session){
        .ruleset = ruleset_ref(ruleset),
        .trace = trace,
        .arena = arena,
        .message = arena_new(),
        .scratch = arena_new(),
        .client_name = "",
        .client_ptr = "",
        .client_addr = "",
        .resolve = RESOLVE_FAIL,
        .hostname = UNKNOWN_HOST,
        .domain = "",
        .own_literal = "",
        .daemon_name = "",
        .helo = arena_alloc(arena, DOMAIN_MAX_LEN + 1),
        .login = no_login,
        .features = ruleset_config(ruleset)->features,
        .relay_control = ruleset_config(ruleset)->relay_control,
    };
    session->helo[0] = '\0';
}

void session_fini(struct session *session)
{
    header_state_free(&session->headers);
    dns_questions_forget(session, DNS_SPAN_CONNECTION);
    ruleset_unref(&session->ruleset);
    arena_free(&session->arena);
    arena_free(&session->message);
    arena_free(&session->scratch);
    arena_free(&session->held);
}

static bool is_empty(const char *text)
{
    return text == NULL || *text == '\0';
}

/* A name that DNS gave, not one of the words that MTAs put where there is none. */
static bool is_name(const char *name)
{
    return !is_empty(name) && *name != '[' && strcasecmp(name, "unknown") != 0 &&
           strlen(name) <= DOMAIN_MAX_LEN;
}

/*
 * A client that has a PTR record did not fail to have one: the name there does not lead back. Postfix says so by two names
 * where Sendmail has one word for it.
 */
static enum session_resolve resolve_of(const struct session_client *client)
{
    enum session_resolve resolve = is_name(client->name) ? RESOLVE_OK : RESOLVE_FAIL;

    for (size_t i = 0;
         !is_empty(client->resolve) && i < sizeof(resolve_names) / sizeof(resolve_names[0]); i++) {
        if (strcasecmp(client->resolve, resolve_names[i]) == 0) {
            resolve = (enum session_resolve)i;
        }
    }
    return resolve == RESOLVE_FAIL && is_name(client->ptr) ? RESOLVE_FORGED : resolve;
}

static void set_address(struct session *session, const char *address)
{
    char text[NETADDR_TEXT_SIZE];

    if (is_empty(address) || !netaddr_parse(address, &session->client_net)) {
        return;
    }
    session->client_addr = arena_strdup(session->arena, netaddr_format(&session->client_net, text));
}

/* "[text]" */
static const char *in_brackets(struct session *session, const char *text)
{
    size_t len = strlen(text);
    char *literal = arena_alloc(session->arena, len + 3);

    literal[0] = '[';
    memcpy(literal + 1, text, len);
    memcpy(literal + 1 + len, "]", 2);
    return literal;
}

/*
 * A name counts only if it resolves back to the address; otherwise the client is "[address]" and the
 * name is what its PTR record says. Without one Sendmail's {client_ptr} is the literal too.
 */
static void set_name(struct session *session, const struct session_client *client)
{
    bool named = is_name(client->name);
    const char *name = named ? domain_normalize(session->arena, client->name) : "";

    session->resolve = resolve_of(client);
    session->resolve_told = !is_empty(client->resolve);
    session->client_name = name;
    if (*session->client_addr != '\0' && (!named || session->resolve != RESOLVE_OK)) {
        session->client_name = in_brackets(session, session->client_addr);
    }
    session->client_ptr = is_name(client->ptr) ? domain_normalize(session->arena, client->ptr)
                          : named              ? name
                                               : session->client_name;
}

/* "[192.0.2.1]", the own address that the client connected to. */
static const char *own_literal(struct session *session, const char *address)
{
    char text[NETADDR_TEXT_SIZE];
    struct netaddr addr;

    if (is_empty(address) || !netaddr_parse(address, &addr)) {
        return "";
    }
    return in_brackets(session, netaddr_format(&addr, text));
}

/* What the section of this listener says goes before what holds for all. */
static void set_listener(struct session *session)
{
    const struct config *config = ruleset_config(session->ruleset);

    session->daemon = config_find_daemon(config, session->daemon_name);
    if (session->daemon != NULL && session->daemon->has_features) {
        session->features = session->daemon->features;
    }
    if (session->daemon != NULL && session->daemon->has_relay_control) {
        session->relay_control = session->daemon->relay_control;
    }
}

void session_connect(struct session *session, const struct session_client *client)
{
    const struct config *config = ruleset_config(session->ruleset);
    const char *hostname = *config->hostname != '\0' ? config->hostname : client->hostname;

    if (!is_empty(hostname)) {
        session->hostname = domain_normalize(session->arena, hostname);
    }
    const char *domain = domain_parent(session->hostname);

    session->domain = domain == NULL ? "" : domain;
    session->own_literal = own_literal(session, client->daemon_addr);
    if (!is_empty(client->daemon_name)) {
        session->daemon_name = arena_strdup(session->arena, client->daemon_name);
    }
    set_listener(session);
    set_address(session, client->address);
    set_name(session, client);
}

void session_reset_message(struct session *session)
{
    header_state_free(&session->headers);
    dns_questions_forget(session, DNS_SPAN_MESSAGE);
    session->waiting = false;
    session->put_off = 0;
    arena_reset(session->message);
    arena_reset(session->scratch);
    session->login = no_login;
    session->sender = NULL;
    session->sender_domain = NULL;
    session->sender_lists = NULL;
    session->recipients = 0;
    session->granted = 0;
    session->granted_names = NULL;
    session->grant = NULL;
    session->discard = verdict_continue();
    session->quarantine = verdict_continue();
    session->dropped = 0;
    session->refusal = verdict_continue();
    session->edits = (struct header_edits){0};
    session->effects = effects_none();
    session->message_effects = effects_none();
}

const struct header_edit *session_header_edits(const struct session *session)
{
    return session->edits.first;
}
