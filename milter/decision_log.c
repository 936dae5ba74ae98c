/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/decision_log.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Recipients that the line of a message names; their number is there in any case. */
#define RECIPIENTS_SHOWN 5u

/* 2024-01-01: ids need not tell older times from one another. */
#define ID_EPOCH 1704067200

/* ---- session ids ---- */

/*
 * Ids count up from the second of the first one, times 2^20: unique after a restart too, unless more than a million
 * sessions a second came before.
 */
static uint64_t next_number(void)
{
    static atomic_uint_least64_t last;
    uint64_t number = atomic_load_explicit(&last, memory_order_relaxed);

    if (number == 0) {
        uint64_t start = (uint64_t)(time(NULL) - ID_EPOCH) << 20;

        (void)atomic_compare_exchange_strong(&last, &number, start);
    }
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

/* Crockford's base 32: no letters that look like digits. */
static void write_id(char id[DECISION_LOG_ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    char reversed[DECISION_LOG_ID_SIZE];
    uint64_t number = next_number();
    size_t len = 0;

    do {
        reversed[len++] = digits[number & 31];
        number >>= 5;
    } while (number > 0 && len < sizeof(reversed) - 1);
    for (size_t i = 0; i < len; i++) {
        id[i] = reversed[len - 1 - i];
    }
    id[len] = '\0';
}

/* ---- lines ---- */

static void append_text(struct strbuf *line, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        log_field(line, key, value);
    }
}

static void make_prefix(struct decision_log *log, const struct session *session)
{
    log_field(&log->prefix, "session", log->id);
    append_text(&log->prefix, "client", session->client_name);
    append_text(&log->prefix, "addr", session->client_addr);
    append_text(&log->prefix, "helo", session->helo);
}

/* Begins a line. */
static void append_session(struct decision_log *log, const struct session *session,
                           const char *queue_id)
{
    strbuf_reset(&log->line);
    if (log->prefix.len == 0) {
        make_prefix(log, session);
    }
    strbuf_append_len(&log->line, log->prefix.data, log->prefix.len);
    log_field(&log->line, "queue", queue_id);
    append_text(&log->line, "user", session->login.authen);
}

static void append_rule(struct strbuf *line, const struct verdict_rule *rule)
{
    if (rule->file != NULL) {
        char place[512];

        (void)snprintf(place, sizeof(place), "%s:%u", rule->file, rule->line);
        log_field(line, "rule", place);
    }
    log_field(line, "key", rule->key);
}

static void append_verdict(struct strbuf *line, const struct verdict *verdict)
{
    append_rule(line, &verdict->rule);
    log_field(line, "reason", verdict->reason);
    log_field(line, "list", verdict->list);
    log_field(line, "answer", verdict->answer);
    log_field(line, "error", verdict->why);
    if (verdict->kind == VERDICT_QUARANTINE) {
        log_field(line, "hold", verdict->quarantine);
    }
    if (verdict_is_refusal(verdict)) {
        char reply[REPLY_MAX_TEXT + 32];

        (void)snprintf(reply, sizeof(reply), "%d %s %s", verdict->reply.code, verdict->reply.dsn,
                       verdict->reply.text != NULL ? verdict->reply.text : "");
        log_field(line, "reply", reply);
    }
}

/* What DNS lists said beside "not listed", decisive or not. */
static void append_lists(struct strbuf *line, const struct session *session)
{
    append_text(line, "lists", session->client_lists);
    append_text(line, "sender_lists", session->sender_lists);
}

/* What failed here is told to whoever wants to hear of failures alone, too. */
static enum log_level level_of(const struct verdict *verdict)
{
    return verdict->why == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR;
}

void decision_log_refusal(struct decision_log *log, const struct session *session,
                          const char *queue_id, enum stats_stage stage, const char *sender,
                          const char *recipient, const struct verdict *verdict)
{
    if (!log_enabled(log->logger, level_of(verdict))) {
        return;
    }
    append_session(log, session, queue_id);
    log_field(&log->line, "from", sender);
    log_field(&log->line, "to", recipient);
    log_field(&log->line, "stage", stats_stage_name(stage));
    log_field(&log->line, "action", verdict_kind_name(verdict->kind));
    append_verdict(&log->line, verdict);
    append_lists(&log->line, session);
    log_line(log->logger, level_of(verdict), log->line.data);
}

void decision_log_message(struct decision_log *log, const struct session *session,
                          const char *queue_id, enum stats_stage stage,
                          const struct verdict *verdict)
{
    if (!log_enabled(log->logger, level_of(verdict))) {
        return;
    }
    append_session(log, session, queue_id);
    log_field(&log->line, "from", session->sender);
    log_field(&log->line, "to", log->recipients.data);
    log_field_uint(&log->line, "nrcpt", log->recipient_count);
    log_field(&log->line, "stage", stats_stage_name(stage));
    log_field(&log->line, "action",
              verdict->kind == VERDICT_CONTINUE ? "accept" : verdict_kind_name(verdict->kind));
    append_verdict(&log->line, verdict);
    append_lists(&log->line, session);
    if (session->edits.unlogged > 0) {
        log_field_uint(&log->line, "unlogged", (unsigned)session->edits.unlogged);
    }
    log_line(log->logger, level_of(verdict), log->line.data);
}

void decision_log_edit(struct decision_log *log, const struct session *session,
                       const char *queue_id, const struct header_edit *edit)
{
    enum log_level level = edit->kind == HEADER_EDIT_WARN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;

    if (!log_enabled(log->logger, level)) {
        return;
    }
    append_session(log, session, queue_id);
    log_field(&log->line, "from", session->sender);
    log_field(&log->line, "stage", "eom");
    log_field(&log->line, "action", header_edit_kind_name(edit->kind));
    append_rule(&log->line, &edit->rule);
    log_field(&log->line, "header", edit->subject);
    if (edit->new_name != NULL) {
        log_field(&log->line, "new_name", edit->new_name);
    }
    append_text(&log->line, edit->new_name != NULL ? "new_value" : "text", edit->value);
    log_line(log->logger, level, log->line.data);
}

void decision_log_failure(struct decision_log *log, const struct session *session,
                          enum stats_stage stage, const char *what)
{
    if (!log_enabled(log->logger, LOG_LEVEL_ERROR)) {
        return;
    }
    append_session(log, session, NULL);
    log_field(&log->line, "stage", stats_stage_name(stage));
    log_field(&log->line, "action", verdict_kind_name(VERDICT_TEMPFAIL));
    log_field(&log->line, "error", what);
    log_line(log->logger, LOG_LEVEL_ERROR, log->line.data);
}

void decision_log_event(struct decision_log *log, const struct session *session, const char *event)
{
    if (!log_enabled(log->logger, LOG_LEVEL_DEBUG)) {
        return;
    }
    append_session(log, session, NULL);
    log_field(&log->line, "event", event);
    log_line(log->logger, LOG_LEVEL_DEBUG, log->line.data);
}

/* ---- lookups ---- */

static void begin_trace_line(struct decision_log *log, const char *event)
{
    strbuf_reset(&log->line);
    log_field(&log->line, "session", log->id);
    log_field(&log->line, "event", event);
}

static void trace_lookup(struct trace *trace, const struct trace_lookup *lookup)
{
    struct decision_log *log = (struct decision_log *)trace;
    static const char *const results[] = {
        [STATUS_OK] = "found",
        [STATUS_NOTFOUND] = "none",
        [STATUS_TEMPFAIL] = "failed",
        [STATUS_INVALID] = "invalid",
    };

    begin_trace_line(log, "lookup");
    log_field(&log->line, "table", lookup->table);
    log_field(&log->line, "key", lookup->key);
    log_field(&log->line, "result", results[lookup->result]);
    log_field(&log->line, "value", lookup->value);
    if (lookup->result == STATUS_OK) {
        log_field_uint(&log->line, "line", lookup->line);
    }
    log_line(log->logger, LOG_LEVEL_DEBUG, log->line.data);
}

static void trace_note(struct trace *trace, const char *text)
{
    struct decision_log *log = (struct decision_log *)trace;

    begin_trace_line(log, "note");
    log_field(&log->line, "text", text);
    log_line(log->logger, LOG_LEVEL_DEBUG, log->line.data);
}

/* ---- life ---- */

void decision_log_init(struct decision_log *log, struct logger *logger)
{
    log->trace = (struct trace){trace_lookup, trace_note};
    log->logger = logger;
    write_id(log->id);
    strbuf_init(&log->line);
    strbuf_init(&log->prefix);
    strbuf_init(&log->recipients);
    log->recipient_count = 0;
}

void decision_log_fini(struct decision_log *log)
{
    strbuf_fini(&log->line);
    strbuf_fini(&log->prefix);
    strbuf_fini(&log->recipients);
}

void decision_log_client_changed(struct decision_log *log)
{
    strbuf_reset(&log->prefix);
}

void decision_log_begin_message(struct decision_log *log)
{
    strbuf_reset(&log->recipients);
    log->recipient_count = 0;
}

void decision_log_add_recipient(struct decision_log *log, const char *recipient)
{
    log->recipient_count++;
    if (log->recipient_count > RECIPIENTS_SHOWN) {
        return;
    }
    if (log->recipient_count > 1) {
        strbuf_append_char(&log->recipients, ',');
    }
    strbuf_append(&log->recipients, recipient);
}
