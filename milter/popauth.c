/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth.h"
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store.h"
#include "milter/popauth_line.h"
#include "milter/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_MS 1000

struct popauth {
    struct eventloop *loop;
    struct relay_store *store;
    struct logger *logger;
    struct server *server;
    struct relay_change *first; /* what came in this round */
    struct relay_change **last;
    struct eventloop_task submit;
    struct eventloop_timer second; /* set while lines are counted */

    pthread_mutex_t lock; /* for what follows */
    unsigned lines;       /* logged in this second */
    unsigned long withheld;
};

/* A line that is to be recorded, until it is answered. */
struct grant {
    struct relay_change change;
    struct popauth *popauth;
    struct server_answer *answer;
    struct server_peer peer;
    struct popauth_line line;
    struct strbuf texts;
};

/* ---- the log: what a flood would write is counted instead ---- */

static bool may_log(struct popauth *popauth, enum log_level level)
{
    if (!log_enabled(popauth->logger, level)) {
        return false;
    }
    (void)pthread_mutex_lock(&popauth->lock);
    bool may = popauth->lines < POPAUTH_LINES_A_SECOND;

    if (may) {
        popauth->lines++;
    } else {
        popauth->withheld++;
    }
    (void)pthread_mutex_unlock(&popauth->lock);
    return may;
}

/* True: there were lines in the second that is over. */
static bool begin_second(struct popauth *popauth)
{
    (void)pthread_mutex_lock(&popauth->lock);
    unsigned long withheld = popauth->withheld;
    bool busy = popauth->lines > 0;

    popauth->lines = 0;
    popauth->withheld = 0;
    (void)pthread_mutex_unlock(&popauth->lock);
    if (withheld > 0) {
        log_printf(popauth->logger, LOG_LEVEL_INFO, "event=popauth withheld=%lu", withheld);
    }
    return busy;
}

static void second_over(void *owner)
{
    struct popauth *popauth = owner;

    if (begin_second(popauth)) {
        eventloop_set_timer(popauth->loop, &popauth->second, SECOND_MS);
    }
}

/* The peer stands beside what it says: whoever may connect may say anything. */
static void append_peer(struct strbuf *text, const struct server_peer *peer)
{
    log_field_uint(text, "pid", (unsigned long)peer->pid);
    log_field_uint(text, "uid", (unsigned long)peer->uid);
}

static void log_refused(struct popauth *popauth, const struct server_peer *peer, const char *line,
                        size_t len, const char *why)
{
    if (!may_log(popauth, LOG_LEVEL_WARNING)) {
        return;
    }
    char *copy = xstrndup(line, len);
    struct strbuf text;

    strbuf_init(&text);
    log_field(&text, "event", "popauth");
    log_field(&text, "result", "refused");
    log_field(&text, "error", why);
    log_field(&text, "line", copy);
    append_peer(&text, peer);
    log_line(popauth->logger, LOG_LEVEL_WARNING, text.data);
    strbuf_fini(&text);
    free(copy);
}

static const char *unless_empty(const char *text)
{
    return *text == '\0' ? NULL : text;
}

/* `why` is "" if it was done. */
static void log_done(struct popauth *popauth, const struct popauth_line *line,
                     const struct server_peer *peer, const char *why)
{
    enum log_level level = *why == '\0' ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
    char key[RELAY_KEY_SIZE];
    struct strbuf text;

    if (!may_log(popauth, level)) {
        return;
    }
    strbuf_init(&text);
    log_field(&text, "event", popauth_line_verb(line->verb));
    log_field(&text, "client", relay_entry_key(&line->entry.addr, key));
    log_field(&text, "user", unless_empty(line->entry.user));
    log_field(&text, "service", unless_empty(line->entry.service));
    log_field(&text, "session", unless_empty(line->session));
    append_peer(&text, peer);
    log_field(&text, "result", *why == '\0' ? NULL : "failed");
    log_field(&text, "error", unless_empty(why));
    log_line(popauth->logger, level, text.data);
    strbuf_fini(&text);
}

/* ---- answers ---- */

static void format_answer(struct strbuf *out, const char *why)
{
    strbuf_append(out, *why == '\0' ? "ok" : "err ");
    for (; *why != '\0'; why++) {
        strbuf_append_char(out,
                           (unsigned char)*why < ' ' ? ' ' : *why); /* one line, whatever it says */
    }
    strbuf_append_char(out, '\n');
}

/* In the store's thread. */
static void grant_done(struct relay_change *change, enum status status, const char *why,
                       size_t count)
{
    struct grant *grant = change->ctx;
    const char *failure = status == STATUS_OK ? "" : *why != '\0' ? why : "not recorded";
    struct strbuf answer;

    (void)count;
    log_done(grant->popauth, &grant->line, &grant->peer, failure);
    strbuf_init(&answer);
    format_answer(&answer, failure);
    server_keep_owned(grant->answer, answer.data, answer.len);
    strbuf_fini(&grant->texts);
    free(grant);
}

static void reply(struct server_client *client, const char *why)
{
    struct strbuf answer;

    strbuf_init(&answer);
    format_answer(&answer, why);
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

static void add_grant(struct popauth *popauth, struct grant *grant)
{
    grant->change = (struct relay_change){
        .kind = grant->line.verb == POPAUTH_ADD ? RELAY_ADD : RELAY_LOGIN,
        .entry = grant->line.entry,
        .done = grant_done,
        .ctx = grant,
    };
    if (popauth->first == NULL) {
        eventloop_post(popauth->loop, &popauth->submit);
    }
    *popauth->last = &grant->change;
    popauth->last = &grant->change.next;
}

static void obey(struct popauth *popauth, struct server_client *client, const char *line,
                 size_t len)
{
    struct grant *grant = xcalloc(1, sizeof(*grant));
    const char *why = "";

    grant->popauth = popauth;
    grant->peer = server_peer(client);
    strbuf_init(&grant->texts);
    bool good = popauth_line_parse(line, len, (int64_t)time(NULL), &grant->texts, &grant->line,
                                   &why);

    if (good && grant->line.verb != POPAUTH_LOGOUT) {
        grant->answer = server_promise(client);
        add_grant(popauth, grant);
        return;
    }
    if (good) {
        log_done(popauth, &grant->line, &grant->peer, "");
    } else {
        log_refused(popauth, &grant->peer, line, len, why);
    }
    reply(client, why);
    strbuf_fini(&grant->texts);
    free(grant);
}

static size_t take_line(void *owner, struct server_client *client, const char *data, size_t len)
{
    struct popauth *popauth = owner;
    const char *end = memchr(data, '\n', len);
    struct server_peer peer = server_peer(client);

    if (end == NULL && len < POPAUTH_MAX_LINE) {
        return SERVER_INCOMPLETE;
    }
    if (popauth->second.slot == 0) {
        eventloop_set_timer(popauth->loop, &popauth->second, SECOND_MS);
    }
    if (end == NULL) {
        log_refused(popauth, &peer, data, len, "the line is too long");
        reply(client, "the line is too long");
        return SERVER_END;
    }
    size_t line_len = (size_t)(end - data);

    obey(popauth, client, data, line_len > 0 && end[-1] == '\r' ? line_len - 1 : line_len);
    return line_len + 1;
}

/* ---- begin and end ---- */

struct popauth *popauth_start(struct eventloop *loop, int listen_fd, struct relay_store *store,
                              struct logger *logger)
{
    static const struct server_protocol protocol = {
        .name = "popauth",
        .max_request = POPAUTH_MAX_LINE,
        .max_clients = POPAUTH_MAX_CLIENTS,
        .max_unanswered = POPAUTH_MAX_UNANSWERED,
        .request_ms = POPAUTH_REQUEST_MS,
        .request = take_line,
    };
    struct popauth *popauth = xcalloc(1, sizeof(*popauth));

    popauth->loop = loop;
    popauth->store = store;
    popauth->logger = logger;
    popauth->last = &popauth->first;
    popauth->submit = (struct eventloop_task){.run = submit, .owner = popauth};
    popauth->second = (struct eventloop_timer){.expired = second_over, .owner = popauth};
    (void)pthread_mutex_init(&popauth->lock, NULL);
    popauth->server = server_new(loop, &protocol, popauth, listen_fd, logger);
    return popauth;
}

void popauth_close_socket(struct popauth *popauth)
{
    server_close_socket(popauth->server);
}

static void submit_rest(void *owner)
{
    struct popauth *popauth = owner;

    /* Tasks run in their order: what the last requests posted has run. */
    eventloop_clear_timer(popauth->loop, &popauth->second);
    (void)begin_second(popauth);
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
    (void)pthread_mutex_destroy(&(*popauth)->lock);
    free(*popauth);
    *popauth = NULL;
}
