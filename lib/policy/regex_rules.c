/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/regex_rules.h"

#include "lib/mail/address.h"
#include "lib/mail/netaddr.h"
#include "lib/policy/action.h"
#include "lib/policy/client_facts.h"
#include "lib/policy/regex_patterns.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/trace.h"

#include <string.h>

static const char *const reason = "regex";

/* ---- asking ---- */

static void trace_match(const struct session *session, const char *key,
                        const struct regex_match *match)
{
    struct trace *trace = session->trace;

    if (trace == NULL) {
        return;
    }
    struct trace_lookup lookup = {
        .table = table_regex_name(ruleset_regex(session->ruleset)->table),
        .key = key,
        .result = match->status,
    };
    if (match->status != STATUS_NOTFOUND) {
        lookup.value = match->status == STATUS_OK ? match->result : match->why;
        lookup.file = match->place.file;
        lookup.line = match->place.line;
        lookup.pattern = match->place.written;
        lookup.captures = match->captures;
        lookup.capture_count = match->capture_count;
    }
    trace->lookup(trace, &lookup);
}

static bool is_asked(const struct session *session, enum regex_tag tag)
{
    return (ruleset_regex(session->ruleset)->tags & (unsigned)tag) != 0;
}

static struct regex_match ask(struct session *session, enum regex_tag tag, unsigned client,
                              const char *subject)
{
    struct regex_match match = {.status = STATUS_NOTFOUND};
    struct regex_query query = {
        .tag = (unsigned)tag,
        .client = client,
        .subject = subject,
        .len = strlen(subject),
        .arena = session->scratch,
        .spent_ns = &session->effects.spent_ns,
    };

    table_regex_find(ruleset_regex(session->ruleset)->table, &query, &match);
    if (session->trace != NULL) {
        const char *name = regex_patterns_tag_name(tag);

        trace_match(session, arena_printf(session->scratch, "%s:%s", name, subject), &match);
    }
    return match;
}

/* What `if client` blocks may ask, if there are any. False: it cannot be known. */
static bool find_facts(struct session *session, unsigned *client_out)
{
    unsigned asked = ruleset_regex(session->ruleset)->client;

    *client_out = (asked & CLIENT_RELAY) == 0 ? client_facts_known(session) : 0;
    return (asked & CLIENT_RELAY) == 0 || client_facts_ask(session, client_out) == STATUS_OK;
}

/* Until a subject is found. Postfix too takes the address of a client only if its name is in no line. */
static struct regex_match ask_client(struct session *session, unsigned client, const char *name)
{
    char address[NETADDR_TEXT_SIZE];
    const char *const subjects[] = {
        name,
        arena_printf(session->scratch, "[%s]", session->client_addr),
        arena_strdup(session->scratch, netaddr_format_short(&session->client_net, address)),
    };
    struct regex_match match = {.status = STATUS_NOTFOUND};

    for (size_t i = 0; i < 3 && match.status == STATUS_NOTFOUND; i++) {
        /* A client without a name is named by its address. */
        if (*subjects[i] != '\0' && (i != 1 || strcmp(name, subjects[1]) != 0)) {
            match = ask(session, REGEX_CONNECT, client, subjects[i]);
        }
    }
    return match;
}

/* ---- what a pattern says ---- */

static struct verdict_rule rule_of(const struct regex_match *match)
{
    return (struct verdict_rule){match->place.file, match->place.line, match->place.written};
}

static struct rules_result failed(const struct session *session, const struct regex_match *match,
                                  const char *why)
{
    struct rules_result result = rules_tempfail("regex_failed");

    rules_note(session, why);
    result.verdict.rule = rule_of(match);
    result.verdict.why = why;
    return result;
}

static struct verdict deferral(const struct action *action, const struct regex_match *match)
{
    struct verdict verdict = verdict_refuse(action->reply, reason);

    verdict.rule = rule_of(match);
    return verdict;
}

/* A message that is held can still be refused: the checks go on. */
static struct verdict hold(const struct action *action, const struct regex_match *match)
{
    return (struct verdict){
        .kind = VERDICT_QUARANTINE,
        .quarantine = action->quarantine,
        .rule = rule_of(match),
        .reason = reason,
    };
}

/* "Name: value" in its two parts. */
static void split_header(struct session *session, const char *text, struct header_edit *edit)
{
    size_t name = strcspn(text, ": \t");
    const char *colon = strchr(text + name, ':');

    edit->new_name = arena_strndup(session->scratch, text, name);
    edit->value = colon + 1;
}

/* Something to do with the message; it decides nothing. */
static struct rules_result change(struct session *session, const struct action *action,
                                  const struct regex_match *match, const char *key)
{
    struct header_edit edit = {
        .kind = action->kind == ACTION_INFO       ? HEADER_EDIT_INFO
                : action->kind == ACTION_WARN     ? HEADER_EDIT_WARN
                : action->kind == ACTION_PREPEND  ? HEADER_EDIT_PREPEND
                : action->kind == ACTION_REDIRECT ? HEADER_EDIT_REDIRECT
                                                  : HEADER_EDIT_ADD_RECIPIENT,
        .value = action->text,
        .rule = rule_of(match),
        .subject = key,
    };

    if (edit.kind == HEADER_EDIT_PREPEND) {
        split_header(session, action->text, &edit);
    }
    if (!header_edit_append(&session->effects.edits, session->scratch, &edit)) {
        return failed(session, match, "too many changes of one message");
    }
    return rules_nothing();
}

/* What the access map knows too. */
static struct rules_result decide(struct session *session, enum regex_tag tag,
                                  const struct action *action, const struct regex_match *match)
{
    const struct config *config = ruleset_config(session->ruleset);
    const struct reply *reject = tag == REGEX_TO ? &config->recipient_reject : &config->reject;
    struct access_match found = {
        .status = STATUS_OK,
        .action = *action,
        .rule = rule_of(match),
    };

    if (tag == REGEX_COMPAT && action->kind == ACTION_TEMP) {
        found.action.kind = ACTION_ERROR;
    }
    struct rules_result result = rules_apply(&found, reject, reason);

    if (tag == REGEX_COMPAT && result.verdict.kind == VERDICT_DISCARD) {
        result.verdict.kind = VERDICT_DROP;
    }
    result.relays = action->kind == ACTION_RELAY && (tag == REGEX_CONNECT || tag == REGEX_TO);
    return result;
}

static bool read_action(struct session *session, enum regex_tag tag,
                        const struct regex_match *match, struct action *action_out,
                        struct action_problem *problem_out)
{
    const char *text = match->result;

    if (tag == REGEX_COMPAT && action_is_discard_with_text(text)) {
        text = "DISCARD"; /* as in the access map, nobody sees the text */
    }
    return action_parse_pattern(ACTION_OF_REGEX, text, session->scratch, action_out, problem_out);
}

static struct rules_result apply(struct session *session, enum regex_tag tag,
                                 const struct regex_match *match, const char *key)
{
    struct action_problem problem;
    struct action action;

    if (match->status == STATUS_NOTFOUND) {
        return rules_nothing();
    }
    if (match->status != STATUS_OK) {
        return failed(session, match, match->why);
    }
    if (!read_action(session, tag, match, &action, &problem)) {
        return failed(session, match, problem.text);
    }
    switch (action.kind) {
    case ACTION_DUNNO:
        return rules_nothing();
    case ACTION_QUARANTINE:
        session->effects.hold = hold(&action, match);
        return rules_nothing();
    case ACTION_DEFER_IF_PERMIT:
        session->effects.if_permit = deferral(&action, match);
        return rules_nothing();
    case ACTION_DEFER_IF_REJECT:
        session->effects.if_reject = deferral(&action, match);
        return rules_nothing();
    case ACTION_INFO:
    case ACTION_WARN:
    case ACTION_PREPEND:
    case ACTION_BCC:
    case ACTION_REDIRECT:
        return change(session, &action, match, key);
    default:
        return decide(session, tag, &action, match);
    }
}

static struct rules_result check(struct session *session, enum regex_tag tag, const char *subject)
{
    unsigned client;

    if (!find_facts(session, &client)) {
        return rules_tempfail("access");
    }
    struct regex_match match = tag == REGEX_CONNECT ? ask_client(session, client, subject)
                                                    : ask(session, tag, client, subject);

    return apply(session, tag, &match, subject);
}

/* ---- the stages ---- */

struct rules_result regex_rules_check_client(struct session *session, const char *name)
{
    return is_asked(session, REGEX_CONNECT) ? check(session, REGEX_CONNECT, name) : rules_nothing();
}

enum status regex_rules_client_relays(struct session *session, bool *relays_out)
{
    struct action action;

    *relays_out = false;
    if (!ruleset_regex(session->ruleset)->relays || *session->client_addr == '\0') {
        return STATUS_OK;
    }
    /* Never by a name that is not verified, whatever use_client_ptr says. */
    struct regex_match match = ask_client(session, client_facts_known(session),
                                          session->client_name);

    if (match.status == STATUS_TEMPFAIL) {
        return STATUS_TEMPFAIL;
    }
    *relays_out = match.status == STATUS_OK &&
                  read_action(session, REGEX_CONNECT, &match, &action, NULL) &&
                  action.kind == ACTION_RELAY;
    return STATUS_OK;
}

struct rules_result regex_rules_check_helo(struct session *session)
{
    return *session->helo != '\0' && is_asked(session, REGEX_HELO)
               ? check(session, REGEX_HELO, session->helo)
               : rules_nothing();
}

/* As keys of the access map are made, but with the case that was typed. */
static const char *subject_of(struct session *session, const struct canonical *address)
{
    if (address == NULL) {
        return "<>";
    }
    const char *local = address_plain(session->scratch, address->local);

    return address->domain == NULL
               ? local
               : arena_printf(session->scratch, "%s@%s", local, address->domain);
}

struct rules_result regex_rules_check_sender(struct session *session,
                                             const struct canonical *sender)
{
    if (!is_asked(session, REGEX_FROM)) {
        return rules_nothing();
    }
    return check(session, REGEX_FROM, subject_of(session, sender));
}

struct rules_result regex_rules_check_recipient(struct session *session,
                                                const struct canonical *recipient)
{
    if (!is_asked(session, REGEX_TO)) {
        return rules_nothing();
    }
    return check(session, REGEX_TO, subject_of(session, recipient));
}

struct rules_result regex_rules_check_pair(struct session *session, const char *recipient)
{
    struct canonical from = {0};
    struct canonical to = {0};
    struct reply error;

    /* What cannot be an address was refused before. */
    if (!is_asked(session, REGEX_COMPAT) || !canonical_recipient(session, recipient, &to, &error)) {
        return rules_nothing();
    }
    const char *sender = address_unbracket(session->scratch, session->sender);

    if (canonical_is_empty(session->sender)) {
        sender = subject_of(session, NULL);
    } else if (canonical_sender(session, session->sender, &from, &error)) {
        sender = subject_of(session, &from);
    }
    const char *subject = arena_printf(session->scratch, "%s<@>%s", sender,
                                       subject_of(session, &to));

    return check(session, REGEX_COMPAT, subject);
}
