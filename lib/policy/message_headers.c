/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/message_headers.h"

#include "lib/mail/encoded_word.h"
#include "lib/policy/client_facts.h"
#include "lib/policy/header_action.h"
#include "lib/policy/header_rules.h"
#include "lib/policy/header_state.h"
#include "lib/policy/rules.h"
#include "lib/policy/trace.h"

#include <string.h>

#define OWN "header_checks"
#define MIME "mime_header_checks"

static void on_found(void *ctx, enum mime_place place, const char *header, size_t len);

/* The state of this message; NULL: there are no rules. */
static struct header_state *state_of(struct session *session)
{
    const struct header_rules *rules = ruleset_headers(session->ruleset);

    if (session->headers == NULL &&
        (header_rules_own(rules) != NULL || header_rules_mime(rules) != NULL)) {
        struct header_state *headers = header_state_new(session->message, on_found);

        headers->session = session;
        headers->own = header_rules_own(rules);
        headers->mime = header_rules_mime(rules);
        headers->mime_apart = header_rules_have_mime(rules);
        headers->client = client_facts_known(session);
        headers->client_known = (header_rules_client(rules) & CLIENT_RELAY) == 0;
        for (const char *const *name = header_rules_names(rules); *name != NULL; name++) {
            header_names_expect(&headers->names, session->message, *name);
        }
        session->headers = headers;
    }
    return session->headers;
}

/* Has it been decided, so that nothing further is asked? */
static bool is_done(const struct header_state *headers)
{
    return headers->done || verdict_is_refusal(&headers->session->refusal);
}

/* What `if client` asks for, once for each message. False: it cannot be known, and the message was refused for now. */
static bool know_client(struct header_state *headers)
{
    if (!headers->client_known) {
        headers->client_known = client_facts_ask(headers->session, &headers->client) == STATUS_OK;
    }
    if (!headers->client_known) {
        header_action_fail(headers, OWN,
                           "a map that says whether the client may relay cannot be read");
    }
    return headers->client_known;
}

/* ---- one header ---- */

static void trace_match(const struct header_state *headers, const struct table_regex *table,
                        const struct regex_query *query, const struct regex_match *match)
{
    struct trace *trace = headers->session->trace;

    if (trace == NULL || trace->lookup == NULL) {
        return;
    }
    trace->lookup(trace, &(struct trace_lookup){
                             .table = table_regex_name(table),
                             .key = query->subject,
                             .result = match->status,
                             .value = match->status == STATUS_TEMPFAIL ? match->why : match->result,
                             .file = match->place.file,
                             .line = match->place.line,
                             .pattern = match->place.written,
                             .captures = match->captures,
                             .capture_count = match->capture_count,
                         });
}

/* Asks the table for a header, and does what it says. */
static struct verdict judge(struct header_state *headers, const struct table_regex *table,
                            const struct header_field *field)
{
    struct session *session = headers->session;
    struct regex_query query = {
        .subject = field->text, .len = strlen(field->text), .arena = session->scratch};
    struct regex_match match;
    struct strbuf decoded = {0};

    if (!know_client(headers)) {
        return session->refusal;
    }
    query.client = headers->client;
    query.spent_ns = &headers->spent_ns;
    if (strstr(field->text, "=?") != NULL) {
        strbuf_init(&decoded);
        if (encoded_word_decode(query.subject, query.len, &decoded)) {
            query.decoded = decoded.data;
            query.decoded_len = decoded.len;
        }
    }
    table_regex_find(table, &query, &match);
    trace_match(headers, table, &query, &match);

    struct verdict verdict = verdict_continue();

    if (match.status != STATUS_NOTFOUND) {
        verdict = header_action_take(headers, field, &match);
    }
    strbuf_fini(&decoded);
    return verdict;
}

/* ---- the own header ---- */

/* "Name: value" as it was received. */
static const char *join(struct arena *arena, const char *name, const char *value)
{
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    char *text = arena_alloc(arena, name_len + value_len + 2);

    memcpy(text, name, name_len);
    text[name_len] = ':';
    memcpy(text + name_len + 1, value, value_len + 1);
    return text;
}

struct verdict message_headers_field(struct session *session, const char *name, const char *value)
{
    struct header_state *headers = state_of(session);

    if (headers == NULL) {
        return verdict_continue();
    }
    const struct table_regex *table = headers->own;
    const char *reason = OWN;
    struct header_field field = {
        .name = name,
        .occurrence = header_names_add(&headers->names, session->message, name),
        .position = headers->fields++,
    };

    headers->bytes += strlen(name) + strlen(value) + 2; /* a colon and a line end */
    if (headers->mime != NULL) {
        mime_scanner_own_header(&headers->scanner, name, value);
    }
    if (headers->mime_apart && mime_scanner_is_mime_name(name)) {
        table = headers->mime;
        reason = MIME;
    }
    if (table == NULL || is_done(headers)) {
        return verdict_continue();
    }
    field.text = join(session->scratch, name, value);
    field.reason = reason;
    return judge(headers, table, &field);
}

/* ---- the header as a whole ---- */

static bool holds(const struct header_state *headers, const struct regex_view *view)
{
    switch (header_rules_keyword_of(view)) {
    case HEADER_RULES_MISSING:
        return header_names_count(&headers->names, view->name) == 0;
    case HEADER_RULES_REPEATED:
        return header_names_count(&headers->names, view->name) > view->value;
    case HEADER_RULES_HEADERS:
        return headers->fields > view->value;
    case HEADER_RULES_BYTES:
        return headers->bytes > view->value;
    }
    return false;
}

static bool same_question(const struct regex_view *a, const struct regex_view *b)
{
    return a->keyword == b->keyword &&
           (a->name == NULL || b->name == NULL || strcasecmp(a->name, b->name) == 0);
}

/* Was the same asked by an earlier rule, which held? Of such rules the first one decides, as of patterns. */
static bool was_decided(const struct header_state *headers, const struct regex_view *first,
                        const struct regex_view *view)
{
    for (; first < view; first++) {
        if (same_question(first, view) && holds(headers, first)) {
            return true;
        }
    }
    return false;
}

static void take_keyword(struct header_state *headers, const struct regex_view *view)
{
    const struct header_field none = {.position = headers->fields, .reason = OWN};
    const struct regex_match match = {
        .status = STATUS_OK,
        .place = view->place,
        .result = view->result,
    };
    const struct regex_query query = {.subject = view->place.written};

    trace_match(headers, headers->own, &query, &match);
    (void)header_action_take(headers, &none, &match);
}

void message_headers_end(struct session *session)
{
    struct header_state *headers = state_of(session);

    if (headers == NULL || headers->ended) {
        return;
    }
    headers->ended = true;
    if (is_done(headers) || !know_client(headers)) {
        return;
    }
    size_t count;
    const struct regex_view *first = header_rules_keywords(ruleset_headers(session->ruleset),
                                                           headers->client, &count);

    for (size_t i = 0; i < count && !is_done(headers); i++) {
        if (holds(headers, &first[i]) && !was_decided(headers, first, &first[i])) {
            take_keyword(headers, &first[i]);
        }
    }
}

/* ---- the body ---- */

static void on_found(void *ctx, enum mime_place place, const char *header, size_t len)
{
    struct header_state *headers = ctx;
    const struct header_field field = {
        .text = header,
        .reason = MIME,
        .position = headers->fields,
        .in_body = true,
    };

    (void)len;
    if (!is_done(headers)) {
        arena_reset(headers->session->scratch);
        rules_note(headers->session, place == MIME_PLACE_PART
                                         ? "in the body: a header of a part"
                                         : "in the body: a header of an attached message");
        (void)judge(headers, headers->mime, &field);
    }
}

void message_headers_body(struct session *session, const char *data, size_t len)
{
    struct header_state *headers = state_of(session);

    if (headers != NULL && headers->mime != NULL && !is_done(headers)) {
        mime_scanner_body(&headers->scanner, data, len);
    }
}

void message_headers_finish(struct session *session)
{
    struct header_state *headers = state_of(session);

    message_headers_end(session);
    if (headers == NULL || headers->mime == NULL || is_done(headers)) {
        return;
    }
    mime_scanner_end(&headers->scanner);
    if (headers->scanner.too_deep && !is_done(headers)) {
        header_action_refuse(headers, reply_make(550, "5.6.0", "MIME nesting exceeds safety limit"),
                             MIME);
    }
}
