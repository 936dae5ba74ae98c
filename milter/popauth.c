/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth.h"
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store.h"
#include "milter/popauth_event.h"
#include "milter/popauth_kept.h"
#include "milter/popauth_line.h"
#include "milter/popauth_log.h"
#include "milter/popauth_sessions.h"
#include "milter/server.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT_SHOWN 400u /* bytes of one that is wrong, in the log */
/* Logins are kept as long as `posternctl relay watch` tells again, unless it is told otherwise. */
#define KEEP_MS INT64_C(300000)
#define MS_PER_MINUTE INT64_C(60000)

struct popauth {
    struct eventloop *loop;
    struct relay_store *store;
    struct server *server;
    struct relay_change *first; /* what came in this round */
    struct relay_change **last;
    struct eventloop_task submit;
    struct popauth_sessions *sessions;
    struct popauth_kept *kept;
    struct popauth_log log;
    atomic_ulong refused;
    atomic_ulong ignored;
    atomic_ulong excesses;
};

/* A line that is to be recorded, until that is done, or given up. */
struct grant {
    struct relay_change change;
    struct popauth_kept_change kept_change;
    struct popauth *popauth;
    struct server_answer *answer; /* NULL: it was given */
    struct server_peer peer;
    struct popauth_line line;
    struct strbuf texts;
    bool is_event;                    /* nobody reads an answer */
    bool is_counted;                  /* a login that opens a session */
    struct relay_sessions_grant kept; /* of a logout: what ends with its session */
};

/* ---- answers ---- */

/* `why` is "" if it was done. */
static void format_answer(struct strbuf *out, bool may_pass, const char *why)
{
    strbuf_append(out, *why == '\0' ? "ok" : may_pass ? POPAUTH_MAY_PASS : "err ");
    for (; *why != '\0'; why++) {
        strbuf_append_char(out,
                           (unsigned char)*why < ' ' ? ' ' : *why); /* one line, whatever it says */
    }
    strbuf_append_char(out, '\n');
}

static void free_grant(struct grant *grant)
{
    strbuf_fini(&grant->texts);
    free(grant);
}

static const char *text_of(enum status status, const char *why)
{
    return status == STATUS_OK ? "" : *why != '\0' ? why : "not recorded";
}

/* Once. */
static void answer(struct grant *grant, enum status status, const char *why)
{
    struct strbuf text;

    if (grant->answer == NULL) {
        return;
    }
    if (grant->is_event) {
        server_keep(grant->answer, "", 0);
    } else {
        strbuf_init(&text);
        format_answer(&text, status == STATUS_TEMPFAIL, text_of(status, why));
        server_keep_owned(grant->answer, text.data, text.len);
    }
    grant->answer = NULL;
}

/* ---- what becomes of them ---- */

/* Is somebody to see to it that it is done later? Nobody tells of an event again, nor of a logout that was counted. */
static bool must_be_kept(const struct grant *grant, enum status status)
{
    switch (grant->line.verb) {
    case POPAUTH_LOGIN:
        return status == STATUS_TEMPFAIL && !grant->line.is_told_again;
    case POPAUTH_LOGOUT:
        return status == STATUS_TEMPFAIL;
    case POPAUTH_ADD: /* it would replace what was granted since */
        break;
    }
    return false;
}

static void end(struct grant *grant, enum status status, const char *why)
{
    struct popauth *popauth = grant->popauth;

    answer(grant, status, why);
    popauth_kept_settle(popauth->kept, &grant->kept_change, status == STATUS_OK);
    popauth_log_done(&popauth->log, &grant->line, &grant->peer, text_of(status, why));
    free_grant(grant);
}

/* An attempt has failed: there will be others, if there can be. */
static void keep(struct grant *grant, enum status status, const char *why)
{
    struct popauth *popauth = grant->popauth;
    bool is_kept = grant->kept_change.is_under_way; /* and the log tells of it */

    if (!is_kept && popauth_kept_has_room(popauth->kept)) {
        popauth_log_kept(&popauth->log, &grant->line, &grant->peer, text_of(status, why));
        is_kept = true;
    }
    answer(grant, status, why);
    grant->kept_change.change = &grant->change;
    if (!is_kept || !popauth_kept_add(popauth->kept, &grant->kept_change, text_of(status, why))) {
        popauth_log_done(&popauth->log, &grant->line, &grant->peer, text_of(status, why));
        free_grant(grant);
    }
}

/* In the loop's thread, as what follows. */
static void log_soon(void *owner)
{
    struct popauth *popauth = owner;

    popauth_log_wake(&popauth->log);
}

static void dropped(struct relay_change *change, const char *why)
{
    struct grant *grant = change->ctx;

    popauth_log_done(&grant->popauth->log, &grant->line, &grant->peer, why);
    free_grant(grant);
}

/* In the store's thread, as what follows. */
static void tell_excess(void *owner, const struct relay_change *change, bool granted,
                        size_t removed)
{
    struct popauth *popauth = owner;

    (void)atomic_fetch_add_explicit(&popauth->excesses, 1, memory_order_relaxed);
    popauth_log_excess(&popauth->log, change, granted, removed);
}

/* True: its session sees to it that it is granted. */
static bool settle_session(struct grant *grant, enum status status, const char *why)
{
    struct popauth *popauth = grant->popauth;
    bool is_owed = must_be_kept(grant, status);

    if (!grant->is_counted) {
        return false;
    }
    grant->is_counted = false;
    bool is_open = popauth_sessions_settle(popauth->sessions, &grant->line,
                                           is_owed               ? RELAY_SESSIONS_OWED
                                           : status == STATUS_OK ? RELAY_SESSIONS_GRANTED
                                                                 : RELAY_SESSIONS_REFUSED);

    if (!is_owed || !is_open) {
        return false;
    }
    popauth_log_kept(&popauth->log, &grant->line, &grant->peer, text_of(status, why));
    answer(grant, status, why);
    free_grant(grant);
    return true;
}

static void grant_done(struct relay_change *change, enum status status, const char *why,
                       size_t count)
{
    struct grant *grant = change->ctx;

    if (change->is_excess) {
        tell_excess(grant->popauth, change, status == STATUS_OK, count);
    }
    if (settle_session(grant, status, why)) {
        return;
    }
    if (must_be_kept(grant, status)) {
        keep(grant, status, why);
    } else {
        end(grant, status, why);
    }
}

/* An entry that is not there was taken away, and stays so; unless it went by itself while the store was away. */
static void logout_done(struct relay_change *change, enum status status, const char *why,
                        size_t count)
{
    struct grant *grant = change->ctx;
    struct popauth *popauth = grant->popauth;

    if (change->is_excess) {
        tell_excess(popauth, change, status == STATUS_OK, count);
    }
    if (status == STATUS_NOTFOUND &&
        relay_sessions_has_expired(popauth_sessions_counted(popauth->sessions), grant->kept.date,
                                   (int64_t)time(NULL))) {
        change->kind = RELAY_LOGIN;
        change->entry.user = grant->kept.user;
        change->entry.service = grant->kept.service;
        change->next = NULL;
        relay_store_submit(popauth->store, change);
        return;
    }
    if (must_be_kept(grant, status)) {
        keep(grant, status, why);
    } else {
        end(grant, status == STATUS_NOTFOUND ? STATUS_OK : status, why);
    }
}

static void reply(struct server_client *client, const char *why)
{
    struct strbuf answer;

    strbuf_init(&answer);
    format_answer(&answer, false, why);
    server_reply(client, answer.data, answer.len);
    strbuf_fini(&answer);
}

/* ---- requests ---- */

/* After the round: what came from all clients goes to the store at once. */
static void submit(void *owner)
{
    struct popauth *popauth = owner;
    struct relay_change *changes = popauth->first;

    popauth->first = NULL;
    popauth->last = &popauth->first;
    relay_store_submit(popauth->store, changes);
}

static void add_change(struct popauth *popauth, struct server_client *client, struct grant *grant)
{
    grant->answer = server_promise(client);
    grant->change.ctx = grant;
    if (popauth->first == NULL) {
        eventloop_post(popauth->loop, &popauth->submit);
    }
    *popauth->last = &grant->change;
    popauth->last = &grant->change.next;
}

/* True: it will be answered when it is on the disk. */
static bool begin(struct popauth *popauth, struct server_client *client, struct grant *grant)
{
    const struct popauth_line *line = &grant->line;

    switch (line->verb) {
    case POPAUTH_LOGIN:
        grant->is_counted = line->session[0] != '\0' &&
                            popauth_sessions_begin(popauth->sessions, line);
        grant->change = (struct relay_change){
            .kind = RELAY_LOGIN, .entry = line->entry, .done = grant_done};
        break;
    case POPAUTH_ADD:
        grant->change = (struct relay_change){
            .kind = RELAY_ADD, .entry = line->entry, .done = grant_done};
        break;
    case POPAUTH_LOGOUT:
        if (!popauth_sessions_end(popauth->sessions, line, &grant->kept)) {
            return false;
        }
        grant->change = (struct relay_change){
            .kind = grant->kept.is_owed ? RELAY_LOGIN : RELAY_TOUCH,
            .entry = {.addr = grant->kept.addr,
                      .login_at = line->entry.login_at,
                      .user = grant->kept.is_owed ? grant->kept.user : "",
                      .service = grant->kept.is_owed ? grant->kept.service : ""},
            .done = logout_done,
        };
        break;
    }
    add_change(popauth, client, grant);
    return true;
}

static bool is_event(const char *line, size_t len)
{
    return len > 0 && *line == '{';
}

/* A line is an event, too, that is never ignored. */
static enum popauth_event understand(struct grant *grant, const char *line, size_t len,
                                     const char **why_out)
{
    int64_t now = (int64_t)time(NULL);

    if (grant->is_event) {
        return popauth_event_parse(line, len, now, &grant->texts, &grant->line, why_out);
    }
    return popauth_line_parse(line, len, now, &grant->texts, &grant->line, why_out)
               ? POPAUTH_EVENT_TAKEN
               : POPAUTH_EVENT_WRONG;
}

static void refuse(struct popauth *popauth, const struct server_peer *peer, const char *line,
                   size_t len, const char *why)
{
    (void)atomic_fetch_add_explicit(&popauth->refused, 1, memory_order_relaxed);
    popauth_log_refused(&popauth->log, peer, line,
                        is_event(line, len) && len > EVENT_SHOWN ? EVENT_SHOWN : len, why);
}

static void obey(struct popauth *popauth, struct server_client *client, const char *line,
                 size_t len)
{
    struct grant *grant = xcalloc(1, sizeof(*grant));
    const char *why = "";

    grant->popauth = popauth;
    grant->peer = server_peer(client);
    grant->is_event = is_event(line, len);
    strbuf_init(&grant->texts);
    switch (understand(grant, line, len, &why)) {
    case POPAUTH_EVENT_TAKEN:
        if (begin(popauth, client, grant)) {
            return;
        }
        popauth_log_done(&popauth->log, &grant->line, &grant->peer, "");
        break;
    case POPAUTH_EVENT_IGNORED:
        (void)atomic_fetch_add_explicit(&popauth->ignored, 1, memory_order_relaxed);
        break;
    case POPAUTH_EVENT_WRONG:
        refuse(popauth, &grant->peer, line, len, why);
        break;
    }
    if (!grant->is_event) {
        reply(client, why);
    }
    free_grant(grant);
}

/*
 * A line without an end, or one that is longer than it may be. What would follow an event is part of it, written by whoever named
 * himself in it: nobody is to read that as a line.
 */
static size_t refuse_long(struct popauth *popauth, struct server_client *client, const char *line,
                          size_t len)
{
    struct server_peer peer = server_peer(client);

    refuse(popauth, &peer, line, len, "the line is too long");
    if (is_event(line, len)) {
        return SERVER_DROP;
    }
    reply(client, "the line is too long");
    return SERVER_END;
}

static size_t take_line(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct popauth *popauth = owner;
    size_t most = is_event(data, len) ? POPAUTH_MAX_EVENT : POPAUTH_MAX_LINE;
    const char *end = memchr(data, '\n', len < most ? len : most);

    if (end == NULL && len < most) {
        return SERVER_INCOMPLETE;
    }
    popauth_log_wake(&popauth->log);
    if (end == NULL) {
        return refuse_long(popauth, client, data, most);
    }
    size_t line_len = (size_t)(end - data);

    obey(popauth, client, data, line_len > 0 && end[-1] == '\r' ? line_len - 1 : line_len);
    return line_len + 1;
}

/* ---- begin and end ---- */

/* What is older than the window would permit nothing. */
static int64_t keep_ms(const struct relay_sessions_terms *terms)
{
    int64_t window = terms->window_minutes * MS_PER_MINUTE;

    return window > 0 && window < KEEP_MS ? window : KEEP_MS;
}

struct popauth *popauth_start(struct eventloop *loop, int listen_fd, struct relay_store *store,
                              const struct relay_sessions_terms *terms, struct logger *logger)
{
    static const struct server_protocol protocol = {
        .name = "popauth",
        .max_request = POPAUTH_MAX_EVENT,
        .max_clients = POPAUTH_MAX_CLIENTS,
        .max_unanswered = POPAUTH_MAX_UNANSWERED,
        .request_ms = POPAUTH_REQUEST_MS,
        .request = take_line,
    };
    struct popauth *popauth = xcalloc(1, sizeof(*popauth));

    popauth->loop = loop;
    popauth->store = store;
    popauth->last = &popauth->first;
    popauth->submit = (struct eventloop_task){.run = submit, .owner = popauth};
    popauth_log_init(&popauth->log, loop, logger);
    popauth->sessions = popauth_sessions_new(loop, store, terms, tell_excess, popauth, logger);
    popauth->kept = popauth_kept_new(
        loop, store, keep_ms(terms),
        &(struct popauth_kept_owner){.attempt = log_soon, .dropped = dropped, .owner = popauth},
        logger);
    popauth->server = server_new(loop, &protocol, popauth, listen_fd, logger);
    return popauth;
}

void popauth_configure(struct popauth *popauth, const struct relay_sessions_terms *terms)
{
    popauth_sessions_configure(popauth->sessions, terms);
    popauth_kept_configure(popauth->kept, keep_ms(terms));
}

void popauth_stats(const struct popauth *popauth, struct popauth_stats *stats_out)
{
    relay_sessions_stats(popauth_sessions_counted(popauth->sessions), &stats_out->sessions);
    stats_out->kept = popauth_kept_count(popauth->kept);
    stats_out->refused = atomic_load_explicit(&popauth->refused, memory_order_relaxed);
    stats_out->ignored = atomic_load_explicit(&popauth->ignored, memory_order_relaxed);
    stats_out->excesses = atomic_load_explicit(&popauth->excesses, memory_order_relaxed);
}

size_t popauth_open_at(const struct popauth *popauth, const struct netaddr *entry)
{
    return relay_sessions_open_at(popauth_sessions_counted(popauth->sessions), entry);
}

void popauth_close_socket(struct popauth *popauth)
{
    server_close_socket(popauth->server);
}

static void submit_rest(void *owner)
{
    struct popauth *popauth = owner;

    /* Tasks run in their order: what the last requests posted has run. */
    popauth_kept_finish(popauth->kept);
    popauth_log_finish(&popauth->log);
    popauth_sessions_finish(popauth->sessions);
}

void popauth_finish(struct popauth *popauth)
{
    server_finish(popauth->server);
    eventloop_call(popauth->loop, submit_rest, popauth);
}

void popauth_stop(struct popauth **popauth)
{
    if (*popauth == NULL) {
        return;
    }
    server_free(&(*popauth)->server);
    popauth_kept_free(&(*popauth)->kept);
    popauth_sessions_free(&(*popauth)->sessions);
    popauth_log_fini(&(*popauth)->log);
    free(*popauth);
    *popauth = NULL;
}
