/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth_log.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"

#include <stdlib.h>

#define SECOND_MS 1000

static bool may_log(struct popauth_log *log, enum log_level level)
{
    if (!log_enabled(log->logger, level)) {
        return false;
    }
    (void)pthread_mutex_lock(&log->lock);
    bool may = log->lines < POPAUTH_LINES_A_SECOND;

    if (may) {
        log->lines++;
    } else {
        log->withheld++;
    }
    (void)pthread_mutex_unlock(&log->lock);
    return may;
}

/* True: there were lines in the second that is over. */
static bool begin_second(struct popauth_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    unsigned long withheld = log->withheld;
    bool busy = log->lines > 0;

    log->lines = 0;
    log->withheld = 0;
    (void)pthread_mutex_unlock(&log->lock);
    if (withheld > 0) {
        log_printf(log->logger, LOG_LEVEL_INFO, "event=popauth withheld=%lu", withheld);
    }
    return busy;
}

static void second_over(void *owner)
{
    struct popauth_log *log = owner;

    if (begin_second(log)) {
        eventloop_set_timer(log->loop, &log->second, SECOND_MS);
    }
}

void popauth_log_wake(struct popauth_log *log)
{
    if (log->second.slot == 0) {
        eventloop_set_timer(log->loop, &log->second, SECOND_MS);
    }
}

void popauth_log_finish(struct popauth_log *log)
{
    eventloop_clear_timer(log->loop, &log->second);
    (void)begin_second(log);
}

/* The peer stands beside what it says: whoever may connect may say anything. */
static void append_peer(struct strbuf *text, const struct server_peer *peer)
{
    log_field_uint(text, "pid", (unsigned long)peer->pid);
    log_field_uint(text, "uid", (unsigned long)peer->uid);
}

void popauth_log_refused(struct popauth_log *log, const struct server_peer *peer, const char *line,
                         size_t len, const char *why)
{
    if (!may_log(log, LOG_LEVEL_WARNING)) {
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
    log_line(log->logger, LOG_LEVEL_WARNING, text.data);
    strbuf_fini(&text);
    free(copy);
}

static const char *unless_empty(const char *text)
{
    return *text == '\0' ? NULL : text;
}

/* `result` is NULL if all is well. */
static void log_line_of(struct popauth_log *log, const struct popauth_line *line,
                        const struct server_peer *peer, const char *result, const char *why)
{
    enum log_level level = result == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
    char key[RELAY_KEY_SIZE];
    struct strbuf text;

    if (!may_log(log, level)) {
        return;
    }
    strbuf_init(&text);
    log_field(&text, "event", popauth_line_verb(line->verb));
    log_field(&text, "client", relay_entry_key(&line->entry.addr, key));
    log_field(&text, "user", unless_empty(line->entry.user));
    log_field(&text, "service", unless_empty(line->entry.service));
    log_field(&text, "session", unless_empty(line->session));
    append_peer(&text, peer);
    log_field(&text, "result", result);
    log_field(&text, "error", unless_empty(why));
    log_line(log->logger, level, text.data);
    strbuf_fini(&text);
}

void popauth_log_done(struct popauth_log *log, const struct popauth_line *line,
                      const struct server_peer *peer, const char *why)
{
    log_line_of(log, line, peer, *why == '\0' ? NULL : "failed", why);
}

void popauth_log_kept(struct popauth_log *log, const struct popauth_line *line,
                      const struct server_peer *peer, const char *why)
{
    log_line_of(log, line, peer, "kept", why);
}

void popauth_log_excess(struct popauth_log *log, const struct relay_change *change, bool granted,
                        size_t removed)
{
    char key[RELAY_KEY_SIZE];
    struct strbuf text;

    strbuf_init(&text);
    log_field(&text, "event", "too_many_addresses");
    log_field(&text, "user", change->entry.user);
    log_field(&text, "client", relay_entry_key(&change->entry.addr, key));
    log_field_uint(&text, "addresses", change->addresses);
    log_field(&text, "result", granted ? "granted" : "refused");
    if (removed > 0) {
        log_field_uint(&text, "withdrawn", removed);
    }
    log_line(log->logger, LOG_LEVEL_WARNING, text.data);
    strbuf_fini(&text);
}

void popauth_log_init(struct popauth_log *log, struct eventloop *loop, struct logger *logger)
{
    *log = (struct popauth_log){.loop = loop, .logger = logger};
    log->second = (struct eventloop_timer){.expired = second_over, .owner = log};
    (void)pthread_mutex_init(&log->lock, NULL);
}

void popauth_log_fini(struct popauth_log *log)
{
    (void)pthread_mutex_destroy(&log->lock);
}
