/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/explain.h"

#include "ctl/ctl.h"

#include "lib/base/strbuf.h"
#include "lib/mail/address.h"
#include "lib/policy/dns_questions.h"
#include "lib/policy/relay_limits.h"
#include "lib/policy/ruleset.h"
#include "lib/policy/stages.h"
#include "lib/policy/trace.h"

#include <string.h>

#define BODY_CHUNK 65535u /* bytes; as much as an MTA gives at once */

/* Collects what the stage that runs now looks up and notes. */
struct collector {
    struct trace trace; /* first: the functions get a pointer to it */
    json_t *steps;      /* both, in their order */
    json_t *lookups;
    json_t *notes;
};

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL) {
        json_object_set_new(object, key, ctl_json_text(text));
    }
}

/* What the groups of a pattern matched, all of it first; null: the group took no part. */
static json_t *captures_of(const struct trace_lookup *lookup)
{
    json_t *captures = json_array();

    for (size_t i = 0; i < lookup->capture_count; i++) {
        const struct regex_capture *capture = &lookup->captures[i];

        json_array_append_new(captures,
                              capture->text == NULL ? json_null() : ctl_json_text(capture->text));
    }
    return captures;
}

static void set_place(json_t *entry, const struct trace_lookup *lookup)
{
    set_text(entry, "file", lookup->file);
    json_object_set_new(entry, "line", json_integer(lookup->line));
    set_text(entry, "pattern", lookup->pattern);
    if (lookup->capture_count > 0) {
        json_object_set_new(entry, "captures", captures_of(lookup));
    }
}

static void add_step(struct collector *collector, const char *kind, json_t *entry)
{
    json_t *step = json_pack("{s:s}", "kind", kind);

    json_object_update(step, entry);
    json_array_append_new(collector->steps, step);
}

static void on_lookup(struct trace *trace, const struct trace_lookup *lookup)
{
    struct collector *collector = (struct collector *)trace;
    json_t *entry = json_object();

    set_text(entry, "table", lookup->table);
    set_text(entry, "key", lookup->key);
    json_object_set_new(entry, "found", json_boolean(lookup->result == STATUS_OK));
    if (lookup->result == STATUS_TEMPFAIL) {
        set_text(entry, "failure",
                 lookup->value == NULL ? "the map cannot be read" : lookup->value);
    } else {
        set_text(entry, "value", lookup->value);
    }
    if (lookup->file != NULL) {
        set_place(entry, lookup);
    }
    add_step(collector, "lookup", entry);
    json_array_append_new(collector->lookups, entry);
}

static void on_note(struct trace *trace, const char *text)
{
    struct collector *collector = (struct collector *)trace;
    json_t *entry = json_object();

    set_text(entry, "text", text);
    add_step(collector, "note", entry);
    json_decref(entry);
    json_array_append_new(collector->notes, ctl_json_text(text));
}

static json_t *reply_object(const struct reply *reply)
{
    json_t *object = json_object();

    json_object_set_new(object, "code", json_integer(reply->code));
    set_text(object, "dsn", reply->dsn);
    set_text(object, "text", reply->text);
    return object;
}

/* Closes the stage that just ran; returns its object, which the array owns. */
static json_t *add_stage(json_t *stages, struct collector *collector, const char *name,
                         const char *argument, const struct verdict *verdict)
{
    json_t *stage = json_object();

    set_text(stage, "stage", name);
    set_text(stage, "argument", argument);
    json_object_set_new(stage, "steps", collector->steps);
    json_object_set_new(stage, "lookups", collector->lookups);
    if (json_array_size(collector->notes) > 0) {
        json_object_set(stage, "notes", collector->notes);
    }
    json_decref(collector->notes);
    collector->steps = json_array();
    collector->lookups = json_array();
    collector->notes = json_array();
    set_text(stage, "verdict", verdict_kind_name(verdict->kind));
    if (verdict_is_refusal(verdict)) {
        json_object_set_new(stage, "reply", reply_object(&verdict->reply));
    }
    if (verdict->kind == VERDICT_QUARANTINE) {
        set_text(stage, "quarantine", verdict->quarantine);
    }
    if (verdict->rule.file != NULL) {
        json_t *rule = json_object();

        set_text(rule, "file", verdict->rule.file);
        json_object_set_new(rule, "line", json_integer(verdict->rule.line));
        set_text(rule, "key", verdict->rule.key);
        json_object_set_new(stage, "rule", rule);
    }
    set_text(stage, "reason", verdict->reason);
    set_text(stage, "list", verdict->list);
    set_text(stage, "answer", verdict->answer);
    json_array_append_new(stages, stage);
    return stage;
}

static void run_connect(struct session *session, const struct explain_request *request,
                        json_t *stages, struct collector *collector)
{
    struct strbuf argument;

    session_connect(session, &request->client);

    struct verdict verdict = stage_connect(session);

    strbuf_init(&argument);
    strbuf_append(&argument, session->client_name);
    if (*session->client_addr != '\0') {
        strbuf_appendf(&argument, "%s[%s]", argument.len > 0 ? " " : "", session->client_addr);
    }
    if (session->resolve != RESOLVE_OK) {
        strbuf_appendf(&argument, " %s", session_resolve_name(session->resolve));
    }
    json_t *stage = add_stage(stages, collector, "connect", argument.data, &verdict);

    if (verdict_is_refusal(&verdict)) {
        set_text(stage, "answered_at", "mail");
    }
    strbuf_fini(&argument);
}

/* As the daemon runs them: answers of DNS are awaited between two calls. */
static struct verdict run_mail(struct session *session, const struct explain_request *request)
{
    struct verdict verdict = stage_mail(session, &request->login, request->sender);

    while (verdict.kind == VERDICT_WAIT) {
        dns_questions_wait(session);
        verdict = stage_mail(session, &request->login, request->sender);
    }
    return verdict;
}

static struct verdict run_rcpt(struct session *session, const char *recipient, const char *mailer)
{
    struct verdict verdict = stage_rcpt(session, recipient, mailer);

    while (verdict.kind == VERDICT_WAIT) {
        dns_questions_wait(session);
        verdict = stage_rcpt(session, recipient, mailer);
    }
    return verdict;
}

/* All recipients; returns the last refusal, or CONTINUE if one was accepted or there are none. */
static enum verdict_kind run_recipients(struct session *session,
                                        const struct explain_request *request, json_t *stages,
                                        struct collector *collector)
{
    enum verdict_kind refused = VERDICT_CONTINUE;

    for (size_t i = 0; i < request->recipient_count; i++) {
        struct verdict verdict = run_rcpt(session, request->recipients[i], request->mailer);

        add_stage(stages, collector, "rcpt", request->recipients[i], &verdict);
        if (verdict_is_refusal(&verdict)) {
            refused = verdict.kind;
        }
    }
    return session->recipients > 0 ? VERDICT_CONTINUE : refused;
}

static void run_fields(struct session *session, const struct explain_request *request,
                       json_t *stages, struct collector *collector)
{
    struct strbuf argument;

    strbuf_init(&argument);
    for (size_t i = 0; i < request->field_count; i++) {
        const struct message_field *field = &request->fields[i];
        struct verdict verdict = stage_header(session, field->name, field->value);

        strbuf_reset(&argument);
        strbuf_appendf(&argument, "%s:%s", field->name, field->value);
        add_stage(stages, collector, "header", argument.data, &verdict);
    }
    strbuf_fini(&argument);
}

static void run_body(struct session *session, const struct explain_request *request, json_t *stages,
                     struct collector *collector)
{
    struct verdict verdict = verdict_continue();

    for (size_t at = 0; at < request->body_len; at += BODY_CHUNK) {
        size_t left = request->body_len - at;

        verdict = stage_body(session, request->body + at, left < BODY_CHUNK ? left : BODY_CHUNK);
    }
    add_stage(stages, collector, "body", NULL, &verdict);
}

/* The header and the body, as far as rules ask for them. */
static void run_content(struct session *session, const struct explain_request *request,
                        json_t *stages, struct collector *collector)
{
    if (request->field_count == 0 && request->body == NULL) {
        return;
    }
    run_fields(session, request, stages, collector);

    struct verdict verdict = stage_eoh(session);

    add_stage(stages, collector, "eoh", NULL, &verdict);
    if (request->body != NULL && !verdict_is_refusal(&verdict) &&
        ruleset_needs(session->ruleset).body) {
        run_body(session, request, stages, collector);
    }
}

static json_t *edit_object(const struct header_edit *edit)
{
    json_t *object = json_object();

    set_text(object, "kind", header_edit_kind_name(edit->kind));
    if (edit->name != NULL) {
        set_text(object, "name", edit->name);
        json_object_set_new(object, "occurrence", json_integer(edit->occurrence));
    }
    json_object_set_new(object, "position", json_integer(edit->position));
    set_text(object, "new_name", edit->new_name);
    set_text(object, "value", edit->value);
    set_text(object, "subject", edit->subject);
    set_text(object, "file", edit->rule.file);
    json_object_set_new(object, "line", json_integer(edit->rule.line));
    return object;
}

/* From MAIL on; returns what becomes of the message. */
static enum verdict_kind run_message(struct session *session, const struct explain_request *request,
                                     json_t *stages, json_t *edits, struct collector *collector)
{
    struct verdict verdict = run_mail(session, request);

    add_stage(stages, collector, "mail", request->sender, &verdict);
    if (verdict_is_refusal(&verdict)) {
        return verdict.kind;
    }
    enum verdict_kind refused = run_recipients(session, request, stages, collector);

    if (refused != VERDICT_CONTINUE) {
        return refused;
    }
    run_content(session, request, stages, collector);
    verdict = stage_eom(session);
    add_stage(stages, collector, "eom", NULL, &verdict);
    for (const struct header_edit *edit = session_header_edits(session); edit != NULL;
         edit = edit->next) {
        json_array_append_new(edits, edit_object(edit));
    }
    return verdict.kind;
}

/*
 * What an MTA is told that decides on relaying itself and asks over policy_socket: the same facts, and addresses without their
 * brackets.
 */
static void run_relaying(struct session *session, const struct explain_request *request,
                         json_t *relaying, struct collector *collector)
{
    struct arena *arena = arena_new();
    const char *sender = address_strip(arena, request->sender);

    session->resolver = NULL; /* the policy server asks no DNS */
    for (size_t i = 0; i < request->recipient_count; i++) {
        const char *recipient = address_strip(arena, request->recipients[i]);
        struct verdict verdict = stage_relay(session, &request->login, sender, recipient);
        json_t *stage = add_stage(relaying, collector, "relay", recipient, &verdict);

        session->granted_before += session->granted;
        set_text(stage, "answer",
                 verdict.kind == VERDICT_CONTINUE      ? "OK"
                 : relay_limits_is_temporary(&verdict) ? "DEFER_IF_REJECT"
                                                       : "DUNNO");
    }
    arena_free(&arena);
}

static bool mta_may_ask(const struct session *session, const struct explain_request *request)
{
    return session->relay_control == RELAY_CONTROL_MTA && *session->client_addr != '\0' &&
           request->sender != NULL && request->recipient_count > 0;
}

json_t *explain_session(struct ruleset *ruleset, const struct explain_request *request)
{
    struct collector collector = {
        .trace = {.lookup = on_lookup, .note = on_note},
        .steps = json_array(),
        .lookups = json_array(),
        .notes = json_array(),
    };
    json_t *object = json_object();
    json_t *stages = json_array();
    struct session session;

    json_t *edits = json_array();
    json_t *relaying = json_array();

    json_object_set_new(object, "stages", stages);
    json_object_set_new(object, "edits", edits);
    session_init(&session, ruleset, &collector.trace);
    session.resolver = request->resolver;
    session.relayers = request->relayers;
    run_connect(&session, request, stages, &collector);
    if (request->helo != NULL) {
        struct verdict verdict = stage_helo(&session, request->helo);

        add_stage(stages, &collector, "helo", request->helo, &verdict);
    }
    enum verdict_kind disposition = session.connect.kind;

    if (request->sender != NULL) {
        disposition = run_message(&session, request, stages, edits, &collector);
    }
    if (mta_may_ask(&session, request)) {
        run_relaying(&session, request, relaying, &collector);
        json_object_set(object, "relaying", relaying);
    }
    json_decref(relaying);
    set_text(object, "disposition",
             disposition == VERDICT_CONTINUE ? "accept" : verdict_kind_name(disposition));
    session_fini(&session);
    json_decref(collector.steps);
    json_decref(collector.lookups);
    json_decref(collector.notes);
    return object;
}
