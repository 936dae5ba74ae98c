/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth_sessions.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/relay/relay_store.h"
#include "milter/ratelog.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS 1000
#define RETRY_MS 2000      /* when the store could not do it */
#define CLOCK_JUMP_MS 1500 /* between two ticks; less makes no difference to a window */
#define OLD_AT_ONCE 10000u

/* Touches that are with the store. */
struct piece {
    struct netaddr due[POPAUTH_SESSIONS_PIECE];
    struct relay_change changes[POPAUTH_SESSIONS_PIECE];
    size_t count;
    int64_t date;
    atomic_size_t left;
    bool has_failed; /* of the store's thread until nothing is left */
    size_t forgotten;
    struct netaddr first_forgotten;
};

struct popauth_sessions {
    struct eventloop *loop;
    struct relay_store *store;
    popauth_sessions_excess *excess;
    void *owner;
    struct logger *logger;
    struct relay_sessions *counted;
    struct ratelog full;

    /* Of the loop's thread. */
    struct eventloop_timer tick;
    struct eventloop_task piece_over;
    bool is_busy; /* a piece is with the store */
    bool is_finished;
    int64_t retry_ms;
    atomic_ulong granted; /* that were owed, since the log told of it */
    int64_t ahead_ms; /* how much the clock of the dates is ahead of the one that never goes back */
    struct piece piece;
};

/* An entry that the store could not take, or that expired while it was away, on its way back. */
struct anew {
    struct relay_change change;
    struct popauth_sessions *sessions;
    struct relay_sessions_grant grant;
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* ---- the log ---- */

static void log_forgotten(struct popauth_sessions *sessions, const struct netaddr *first,
                          size_t count, const char *reason)
{
    char key[RELAY_KEY_SIZE];
    struct strbuf text;

    strbuf_init(&text);
    log_field(&text, "event", "sessions");
    log_field(&text, "result", "forgotten");
    log_field(&text, "client", relay_entry_key(first, key));
    log_field_uint(&text, "count", (unsigned long)count);
    log_field(&text, "reason", reason);
    log_line(sessions->logger, LOG_LEVEL_INFO, text.data);
    strbuf_fini(&text);
}

static void log_granted(struct popauth_sessions *sessions)
{
    unsigned long count = atomic_exchange(&sessions->granted, 0);

    if (count > 0) {
        log_printf(sessions->logger, LOG_LEVEL_INFO,
                   "event=sessions result=granted count=%lu reason=\"the store was away when they "
                   "logged in\"",
                   count);
    }
}

/* Who logged in while the store was away, and will not be recorded. */
static void log_lost(struct popauth_sessions *sessions, const char *reason)
{
    struct relay_sessions_stats stats;

    relay_sessions_stats(sessions->counted, &stats);
    if (stats.owed > 0) {
        log_printf(sessions->logger, LOG_LEVEL_WARNING,
                   "event=sessions result=lost count=%zu reason=\"%s\"", stats.owed, reason);
    }
}

static void log_full(struct popauth_sessions *sessions)
{
    unsigned long withheld;

    if (ratelog_due(&sessions->full, &withheld)) {
        log_printf(
            sessions->logger, LOG_LEVEL_WARNING,
            "event=sessions result=full uncounted=%lu warning=\"there are as many as relay_store: max_sessions "
            "allows; the window of further logins begins at once\"",
            withheld + 1);
    }
}

/* ---- touches ---- */

static void grant_anew(struct popauth_sessions *sessions, const struct relay_sessions_grant *grant);

/* In the store's thread, as what follows. */
static void granted_anew(struct relay_change *change, enum status status, const char *why,
                         size_t count)
{
    struct anew *anew = change->ctx;
    struct popauth_sessions *sessions = anew->sessions;
    struct relay_sessions_grant next;

    if (change->is_excess) {
        sessions->excess(sessions->owner, change, status == STATUS_OK, count);
    }
    switch (relay_sessions_touched(sessions->counted, &anew->grant.addr, status,
                                   change->entry.login_at, (int64_t)time(NULL), &next)) {
    case RELAY_SESSIONS_DONE:
        break;
    case RELAY_SESSIONS_GRANT_ANEW: /* somebody logged in meanwhile, and could not be recorded */
        grant_anew(sessions, &next);
        break;
    case RELAY_SESSIONS_FORGOTTEN:
        log_forgotten(sessions, &anew->grant.addr, 1, why);
        break;
    }
    if (anew->grant.is_owed && status == STATUS_OK) {
        (void)atomic_fetch_add(&sessions->granted, 1);
    }
    free(anew);
}

static void grant_anew(struct popauth_sessions *sessions, const struct relay_sessions_grant *grant)
{
    struct anew *anew = xcalloc(1, sizeof(*anew));

    anew->sessions = sessions;
    anew->grant = *grant;
    anew->change = (struct relay_change){
        .kind = RELAY_LOGIN,
        .entry = {.addr = anew->grant.addr,
                  .login_at = (int64_t)time(NULL),
                  .user = anew->grant.user,
                  .service = anew->grant.service},
        .done = granted_anew,
        .ctx = anew,
    };
    relay_store_submit(sessions->store, &anew->change);
}

static void touched(struct relay_change *change, enum status status, const char *why, size_t count)
{
    struct popauth_sessions *sessions = change->ctx;
    struct piece *piece = &sessions->piece;
    struct relay_sessions_grant grant;

    (void)why;
    (void)count;
    piece->has_failed = piece->has_failed || status == STATUS_TEMPFAIL;
    switch (relay_sessions_touched(sessions->counted, &change->entry.addr, status, piece->date,
                                   (int64_t)time(NULL), &grant)) {
    case RELAY_SESSIONS_DONE:
        break;
    case RELAY_SESSIONS_GRANT_ANEW:
        grant_anew(sessions, &grant);
        break;
    case RELAY_SESSIONS_FORGOTTEN:
        if (piece->forgotten++ == 0) {
            piece->first_forgotten = change->entry.addr;
        }
        break;
    }
    if (atomic_fetch_sub(&piece->left, 1) == 1) {
        eventloop_post(sessions->loop, &sessions->piece_over);
    }
}

/* One piece of what is due; the next one when it is done. */
static void touch_some(struct popauth_sessions *sessions)
{
    struct piece *piece = &sessions->piece;
    int64_t now = now_ms();

    if (sessions->is_busy || sessions->is_finished || now < sessions->retry_ms) {
        return;
    }
    piece->count = relay_sessions_take_due(sessions->counted, now, piece->due,
                                           POPAUTH_SESSIONS_PIECE);
    if (piece->count == 0) {
        return;
    }
    piece->date = (int64_t)time(NULL);
    piece->has_failed = false;
    piece->forgotten = 0;
    atomic_store(&piece->left, piece->count);
    for (size_t i = 0; i < piece->count; i++) {
        piece->changes[i] = (struct relay_change){
            .kind = RELAY_TOUCH,
            .entry = {.addr = piece->due[i], .login_at = piece->date, .user = "", .service = ""},
            .done = touched,
            .ctx = sessions,
            .next = i + 1 < piece->count ? &piece->changes[i + 1] : NULL,
        };
    }
    sessions->is_busy = true;
    relay_store_submit(sessions->store, piece->changes);
}

static void end_piece(void *owner)
{
    struct popauth_sessions *sessions = owner;
    const struct piece *piece = &sessions->piece;

    sessions->is_busy = false;
    if (piece->forgotten > 0) {
        log_forgotten(sessions, &piece->first_forgotten, piece->forgotten, "no entry any more");
    }
    if (piece->has_failed) {
        sessions->retry_ms = now_ms() + RETRY_MS;
    } else if (piece->count == POPAUTH_SESSIONS_PIECE) {
        touch_some(sessions);
    }
}

/* ---- each second, while there are sessions ---- */

/* The clock of the dates was set ahead: windows may be over that were not. */
static void watch_clock(struct popauth_sessions *sessions)
{
    int64_t now = now_ms();
    int64_t ahead = clock_ms(CLOCK_REALTIME) - now;

    if (ahead - sessions->ahead_ms > CLOCK_JUMP_MS) {
        relay_sessions_all_due(sessions->counted, now);
    }
    sessions->ahead_ms = ahead;
}

static void tend(void *owner)
{
    struct popauth_sessions *sessions = owner;
    struct netaddr first;

    log_granted(sessions);
    if (sessions->is_finished || relay_sessions_is_empty(sessions->counted)) {
        return;
    }
    watch_clock(sessions);
    size_t old = relay_sessions_forget_old(sessions->counted, now_ms(), OLD_AT_ONCE, &first);

    if (old > 0) {
        log_forgotten(sessions, &first, old, "open for longer than session_max_hours");
    }
    touch_some(sessions);
    eventloop_set_timer(sessions->loop, &sessions->tick, TICK_MS);
}

void popauth_sessions_configure(struct popauth_sessions *sessions,
                                const struct relay_sessions_terms *terms)
{
    if (terms->max_hours == 0) {
        log_lost(sessions, "no session is counted any more");
    }
    relay_sessions_configure(sessions->counted, terms, now_ms());
    eventloop_call(sessions->loop, tend,
                   sessions); /* with a shorter window there is no time to lose */
}

/* ---- login and logout ---- */

bool popauth_sessions_begin(struct popauth_sessions *sessions, const struct popauth_line *login)
{
    switch (relay_sessions_begin(sessions->counted, &login->entry.addr, login->session, now_ms())) {
    case RELAY_SESSIONS_COUNTED:
        break;
    case RELAY_SESSIONS_OFF:
        return false;
    case RELAY_SESSIONS_FULL:
        log_full(sessions);
        return false;
    }
    if (sessions->tick.slot == 0 && !sessions->is_finished) {
        sessions->ahead_ms = clock_ms(CLOCK_REALTIME) - now_ms();
        eventloop_set_timer(sessions->loop, &sessions->tick, TICK_MS);
    }
    return true;
}

bool popauth_sessions_settle(struct popauth_sessions *sessions, const struct popauth_line *login,
                             enum relay_sessions_outcome outcome)
{
    return relay_sessions_settle(sessions->counted, &login->entry, login->session, outcome,
                                 now_ms());
}

bool popauth_sessions_end(struct popauth_sessions *sessions, const struct popauth_line *logout,
                          struct relay_sessions_grant *grant_out)
{
    return logout->session[0] != '\0' &&
           relay_sessions_end(sessions->counted, &logout->entry.addr, logout->session, grant_out);
}

const struct relay_sessions *popauth_sessions_counted(const struct popauth_sessions *sessions)
{
    return sessions->counted;
}

/* ---- life ---- */

struct popauth_sessions *popauth_sessions_new(struct eventloop *loop, struct relay_store *store,
                                              const struct relay_sessions_terms *terms,
                                              popauth_sessions_excess *excess, void *owner,
                                              struct logger *logger)
{
    struct popauth_sessions *sessions = xcalloc(1, sizeof(*sessions));

    sessions->loop = loop;
    sessions->store = store;
    sessions->excess = excess;
    sessions->owner = owner;
    sessions->logger = logger;
    sessions->counted = relay_sessions_new(terms);
    sessions->tick = (struct eventloop_timer){.expired = tend, .owner = sessions};
    sessions->piece_over = (struct eventloop_task){.run = end_piece, .owner = sessions};
    return sessions;
}

void popauth_sessions_finish(struct popauth_sessions *sessions)
{
    sessions->is_finished = true;
    eventloop_clear_timer(sessions->loop, &sessions->tick);
}

static void nothing(void *owner)
{
    (void)owner;
}

void popauth_sessions_free(struct popauth_sessions **sessions)
{
    if (*sessions != NULL) {
        /* Tasks run in their order: the end of the last piece has run then. */
        eventloop_call((*sessions)->loop, nothing, NULL);
        log_lost(*sessions, "the daemon ends");
        relay_sessions_free(&(*sessions)->counted);
        free(*sessions);
        *sessions = NULL;
    }
}
