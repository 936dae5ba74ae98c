/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/explain.h"

#include "lib/base/strbuf.h"
#include "lib/policy/stages.h"
#include "lib/policy/trace.h"

#include <stdio.h>
#include <string.h>

/* Collects what the stage that runs now looks up and notes. */
struct collector {
    struct trace trace; /* first: the functions get a pointer to it */
    json_t *lookups;
    json_t *notes;
};

/* What clients send need not be UTF-8, and JSON must be: other bytes become \xNN. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);

    if (value != NULL) {
        return value;
    }
    struct strbuf clean;

    strbuf_init(&clean);
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x80) {
            strbuf_append_char(&clean, *text);
        } else {
            strbuf_appendf(&clean, "\\x%02x", (unsigned char)*text);
        }
    }
    value = json_string(clean.data);
    strbuf_fini(&clean);
    return value;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL) {
        json_object_set_new(object, key, text_of(text));
    }
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
    } else if (lookup->result == STATUS_OK) {
        set_text(entry, "value", lookup->value);
        set_text(entry, "file", lookup->file);
        json_object_set_new(entry, "line", json_integer(lookup->line));
    }
    json_array_append_new(collector->lookups, entry);
}

static void on_note(struct trace *trace, const char *text)
{
    struct collector *collector = (struct collector *)trace;

    json_array_append_new(collector->notes, text_of(text));
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
    json_object_set_new(stage, "lookups", collector->lookups);
    if (json_array_size(collector->notes) > 0) {
        json_object_set(stage, "notes", collector->notes);
    }
    json_decref(collector->notes);
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

/* All recipients; returns the last refusal, or CONTINUE if one was accepted or there are none. */
static enum verdict_kind run_recipients(struct session *session,
                                        const struct explain_request *request, json_t *stages,
                                        struct collector *collector)
{
    enum verdict_kind refused = VERDICT_CONTINUE;

    for (size_t i = 0; i < request->recipient_count; i++) {
        struct verdict verdict = stage_rcpt(session, request->recipients[i], request->mailer);

        add_stage(stages, collector, "rcpt", request->recipients[i], &verdict);
        if (verdict_is_refusal(&verdict)) {
            refused = verdict.kind;
        }
    }
    return session->recipients > 0 ? VERDICT_CONTINUE : refused;
}

/* From MAIL on; returns what becomes of the message. */
static enum verdict_kind run_message(struct session *session, const struct explain_request *request,
                                     json_t *stages, struct collector *collector)
{
    struct verdict verdict = stage_mail(session, &request->login, request->sender);

    add_stage(stages, collector, "mail", request->sender, &verdict);
    if (verdict_is_refusal(&verdict)) {
        return verdict.kind;
    }
    enum verdict_kind refused = run_recipients(session, request, stages, collector);

    if (refused != VERDICT_CONTINUE) {
        return refused;
    }
    verdict = stage_eom(session);
    add_stage(stages, collector, "eom", NULL, &verdict);
    return verdict.kind;
}

json_t *explain_session(struct ruleset *ruleset, const struct explain_request *request)
{
    struct collector collector = {
        .trace = {.lookup = on_lookup, .note = on_note},
        .lookups = json_array(),
        .notes = json_array(),
    };
    json_t *object = json_object();
    json_t *stages = json_array();
    struct session session;

    json_object_set_new(object, "stages", stages);
    session_init(&session, ruleset, &collector.trace);
    run_connect(&session, request, stages, &collector);
    if (request->helo != NULL) {
        struct verdict verdict = stage_helo(&session, request->helo);

        add_stage(stages, &collector, "helo", request->helo, &verdict);
    }
    enum verdict_kind disposition = session.connect.kind;

    if (request->sender != NULL) {
        disposition = run_message(&session, request, stages, &collector);
    }
    set_text(object, "disposition",
             disposition == VERDICT_CONTINUE ? "accept" : verdict_kind_name(disposition));
    session_fini(&session);
    json_decref(collector.lookups);
    json_decref(collector.notes);
    return object;
}

/* ---- for a person ---- */

static const char *get(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* What clients send must not steer the reader's terminal. */
static void put(const char *text)
{
    for (; *text != '\0'; text++) {
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    }
}

static void print_lookup(const json_t *lookup)
{
    printf("    %-9s ", get(lookup, "table"));
    put(get(lookup, "key"));
    if (json_object_get(lookup, "failure") != NULL) {
        printf("  FAILED: ");
        put(get(lookup, "failure"));
    } else if (json_is_true(json_object_get(lookup, "found"))) {
        printf("  ->  ");
        put(get(lookup, "value"));
        printf("   (%s:%lld)", get(lookup, "file"),
               (long long)json_integer_value(json_object_get(lookup, "line")));
    } else {
        printf("  -");
    }
    putchar('\n');
}

static void print_verdict(const json_t *stage)
{
    const json_t *reply = json_object_get(stage, "reply");
    const json_t *rule = json_object_get(stage, "rule");

    printf("  => %s", get(stage, "verdict"));
    if (reply != NULL) {
        printf(": %lld %s ", (long long)json_integer_value(json_object_get(reply, "code")),
               get(reply, "dsn"));
        put(get(reply, "text"));
    }
    if (json_object_get(stage, "quarantine") != NULL) {
        printf(": ");
        put(get(stage, "quarantine"));
    }
    if (json_object_get(stage, "answered_at") != NULL) {
        printf("  (the client is told at %s)", get(stage, "answered_at"));
    }
    putchar('\n');
    if (rule != NULL) {
        printf("     by %s:%lld  ", get(rule, "file"),
               (long long)json_integer_value(json_object_get(rule, "line")));
        put(get(rule, "key"));
        putchar('\n');
    } else if (*get(stage, "reason") != '\0') {
        printf("     by %s\n", get(stage, "reason"));
    }
}

void explain_print(const json_t *object)
{
    const json_t *stage;
    const json_t *item;
    size_t i;
    size_t j;

    json_array_foreach(json_object_get(object, "stages"), i, stage)
    {
        printf("%-8s ", get(stage, "stage"));
        put(get(stage, "argument"));
        putchar('\n');
        json_array_foreach(json_object_get(stage, "lookups"), j, item)
        {
            print_lookup(item);
        }
        json_array_foreach(json_object_get(stage, "notes"), j, item)
        {
            printf("    ");
            put(json_string_value(item));
            putchar('\n');
        }
        print_verdict(stage);
    }
    printf("the message: %s\n", get(object, "disposition"));
}
