/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/watch_sessions.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_entry.h"
#include "lib/table/hash64.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NONE SIZE_MAX

struct row {
    char *session; /* NULL: the row is free */
    struct netaddr addr;
    char service[RELAY_SERVICE_MAX + 1];
    bool is_ended; /* not settled yet */
    size_t chain;  /* the next row with the same hash */
    size_t older;  /* in the order of age; of a free row: the next free one */
    size_t younger;
};

/* An end without a begin. */
struct early {
    char *session;       /* NULL: none, or its begin has come */
    struct netaddr addr; /* NETADDR_NONE: it named none */
    int64_t at_ms;
};

struct watch_sessions {
    struct early early[WATCH_SESSIONS_EARLY]; /* a ring */
    size_t next_early;
    struct row *rows;
    size_t *buckets;
    size_t most;
    size_t count;
    size_t ended; /* of them */
    size_t oldest;
    size_t youngest;
    size_t free;
};

struct watch_sessions *watch_sessions_new(size_t most)
{
    struct watch_sessions *sessions = xcalloc(1, sizeof(*sessions));

    sessions->rows = xcalloc(most, sizeof(*sessions->rows));
    sessions->buckets = xcalloc(most, sizeof(*sessions->buckets));
    sessions->most = most;
    sessions->oldest = sessions->youngest = NONE;
    for (size_t i = 0; i < most; i++) {
        sessions->buckets[i] = NONE;
        sessions->rows[i].older = i + 1 < most ? i + 1 : NONE;
    }
    return sessions;
}

void watch_sessions_free(struct watch_sessions **sessions)
{
    if (*sessions == NULL) {
        return;
    }
    for (size_t i = 0; i < (*sessions)->most; i++) {
        free((*sessions)->rows[i].session);
    }
    for (size_t i = 0; i < WATCH_SESSIONS_EARLY; i++) {
        free((*sessions)->early[i].session);
    }
    free((*sessions)->rows);
    free((*sessions)->buckets);
    free(*sessions);
    *sessions = NULL;
}

size_t watch_sessions_count(const struct watch_sessions *sessions)
{
    return sessions->count - sessions->ended;
}

static size_t *find_bucket(struct watch_sessions *sessions, const char *session)
{
    return &sessions->buckets[hash64(session, strlen(session), 0) % sessions->most];
}

/* NETADDR_NONE is any address. */
static bool is_same(const struct netaddr *a, const struct netaddr *b)
{
    return a->family == NETADDR_NONE || b->family == NETADDR_NONE || netaddr_equal(a, b);
}

/* Where the number of the session's row stands: of the youngest one's. */
static size_t *find(struct watch_sessions *sessions, const char *session,
                    const struct netaddr *addr)
{
    size_t *link = find_bucket(sessions, session);

    while (*link != NONE && (strcmp(sessions->rows[*link].session, session) != 0 ||
                             !is_same(&sessions->rows[*link].addr, addr))) {
        link = &sessions->rows[*link].chain;
    }
    return link;
}

static void forget(struct watch_sessions *sessions, size_t *link)
{
    size_t index = *link;
    struct row *row = &sessions->rows[index];

    *link = row->chain;
    *(row->older == NONE ? &sessions->oldest : &sessions->rows[row->older].younger) = row->younger;
    *(row->younger == NONE ? &sessions->youngest
                           : &sessions->rows[row->younger].older) = row->older;
    sessions->ended -= row->is_ended;
    free(row->session);
    *row = (struct row){.older = sessions->free};
    sessions->free = index;
    sessions->count--;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void note_early(struct watch_sessions *sessions, const char *session,
                       const struct netaddr *addr)
{
    struct early *early = &sessions->early[sessions->next_early];

    free(early->session);
    *early = (struct early){xstrdup(session), *addr, now_ms()};
    sessions->next_early = (sessions->next_early + 1) % WATCH_SESSIONS_EARLY;
}

/* From the youngest on; there are few in that time, if any. */
static bool take_early(struct watch_sessions *sessions, const char *session,
                       const struct netaddr *addr)
{
    int64_t since = now_ms() - WATCH_SESSIONS_EARLY_MS;

    for (size_t i = 1; i <= WATCH_SESSIONS_EARLY; i++) {
        size_t index = (sessions->next_early + WATCH_SESSIONS_EARLY - i) % WATCH_SESSIONS_EARLY;
        struct early *early = &sessions->early[index];

        if (early->at_ms == 0 || early->at_ms < since) {
            break;
        }
        if (early->session != NULL && strcmp(early->session, session) == 0 &&
            is_same(&early->addr, addr)) {
            free(early->session);
            early->session = NULL;
            return true;
        }
    }
    return false;
}

bool watch_sessions_add(struct watch_sessions *sessions, const char *session,
                        const struct netaddr *addr, const char *service)
{
    size_t *link = find(sessions, session, addr);

    if (take_early(sessions, session, addr)) {
        return false;
    }
    if (*link != NONE) {
        forget(sessions, link);
    } else if (sessions->count == sessions->most) {
        const struct row *oldest = &sessions->rows[sessions->oldest];

        forget(sessions, find(sessions, oldest->session, &oldest->addr));
    }
    link = find_bucket(sessions, session);

    size_t index = sessions->free;
    struct row *row = &sessions->rows[index];

    sessions->free = row->older;
    *row = (struct row){.session = xstrdup(session),
                        .addr = *addr,
                        .chain = *link,
                        .older = sessions->youngest,
                        .younger = NONE};
    (void)snprintf(row->service, sizeof(row->service), "%s", service);
    *(sessions->youngest == NONE ? &sessions->oldest
                                 : &sessions->rows[sessions->youngest].younger) = index;
    sessions->youngest = index;
    *link = index;
    sessions->count++;
    return true;
}

/* False: it has ended already. */
static bool end(struct watch_sessions *sessions, struct row *row, struct netaddr *addr_out)
{
    if (row->is_ended) {
        return false;
    }
    row->is_ended = true;
    sessions->ended++;
    *addr_out = row->addr;
    return true;
}

bool watch_sessions_take(struct watch_sessions *sessions, const char *session, struct netaddr *addr)
{
    size_t *link = find(sessions, session, addr);

    if (*link == NONE) {
        note_early(sessions, session, addr);
        return false;
    }
    return end(sessions, &sessions->rows[*link], addr);
}

bool watch_sessions_take_oldest(struct watch_sessions *sessions, const char *service,
                                char session_out[LOGIN_SESSION_MAX + 1], struct netaddr *addr_out)
{
    size_t i = sessions->oldest;

    while (i != NONE &&
           (sessions->rows[i].is_ended || strcmp(sessions->rows[i].service, service) != 0)) {
        i = sessions->rows[i].younger;
    }
    if (i == NONE) {
        return false;
    }
    (void)snprintf(session_out, LOGIN_SESSION_MAX + 1, "%s", sessions->rows[i].session);
    return end(sessions, &sessions->rows[i], addr_out);
}

void watch_sessions_settle(struct watch_sessions *sessions, const char *session,
                           const struct netaddr *addr)
{
    size_t *link = find(sessions, session, addr);

    if (*link != NONE && sessions->rows[*link].is_ended) {
        forget(sessions, link);
    }
}

void watch_sessions_save(const struct watch_sessions *sessions, struct strbuf *out)
{
    char key[RELAY_KEY_SIZE];

    for (size_t i = sessions->oldest; i != NONE; i = sessions->rows[i].younger) {
        strbuf_append(out, sessions->rows[i].session);
        strbuf_append_char(out, ' ');
        strbuf_append(out, relay_entry_key(&sessions->rows[i].addr, key));
        if (sessions->rows[i].service[0] != '\0') {
            strbuf_append_char(out, ' ');
            strbuf_append(out, sessions->rows[i].service);
        }
        strbuf_append_char(out, '\n');
    }
}

/* Takes the next word out of a line. False: there is none, or it is too long. */
static bool take_word(const char **line, const char *end, char *word_out, size_t size)
{
    const char *blank = memchr(*line, ' ', (size_t)(end - *line));
    size_t len = (size_t)((blank == NULL ? end : blank) - *line);

    if (len == 0 || len >= size) {
        return false;
    }
    (void)memcpy(word_out, *line, len);
    word_out[len] = '\0';
    *line += blank == NULL ? len : len + 1;
    return true;
}

static void restore_line(struct watch_sessions *sessions, const char *line, const char *end)
{
    char session[LOGIN_SESSION_MAX + 1];
    char key[RELAY_KEY_SIZE];
    char service[RELAY_SERVICE_MAX + 1] = "";
    struct netaddr addr;
    const char *why;

    if (take_word(&line, end, session, sizeof(session)) &&
        take_word(&line, end, key, sizeof(key)) && relay_entry_parse_address(key, &addr, &why)) {
        (void)take_word(&line, end, service, sizeof(service));
        (void)watch_sessions_add(sessions, session, &addr, service);
    }
}

void watch_sessions_restore(struct watch_sessions *sessions, const char *text)
{
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        restore_line(sessions, text, end);
    }
}
