/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_sessions.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_session_table.h"
#include "lib/relay/relay_turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_OF_MINUTE 60
#define MS_PER_HOUR INT64_C(3600000)

struct relay_sessions {
    pthread_mutex_t lock; /* of all below */
    struct relay_sessions_terms terms;
    struct relay_session_table table;
    struct relay_turns when;
    struct relay_sessions_stats stats;
};

/* The entry has this date on the disk. */
static void note_date(struct relay_sessions *sessions, struct relay_place *place, int64_t date,
                      int64_t now_ms)
{
    relay_session_table_set_owed(&sessions->table, place, false);
    if (date > place->date) {
        place->date = date;
    }
    if (now_ms >= place->touched_ms) {
        place->touched_ms = now_ms;
        relay_ring_remove(&place->turn);
        relay_ring_append(&sessions->table.turns, &place->turn);
    }
}

static void set_text(char **text, const char *value)
{
    if (*text == NULL || strcmp(*text, value) != 0) {
        free(*text);
        *text = xstrdup(value);
    }
}

static void copy_grant(const struct relay_place *place, struct relay_sessions_grant *grant_out)
{
    *grant_out = (struct relay_sessions_grant){
        .addr = place->addr, .date = place->date, .is_owed = place->is_owed};
    /* They fit: an entry was granted with them. */
    if (place->user != NULL) {
        memcpy(grant_out->user, place->user, strlen(place->user) + 1);
        memcpy(grant_out->service, place->service, strlen(place->service) + 1);
    }
}

/* ---- login and logout ---- */

enum relay_sessions_result relay_sessions_begin(struct relay_sessions *sessions,
                                                const struct netaddr *client, const char *id,
                                                int64_t now_ms)
{
    enum relay_sessions_result result = RELAY_SESSIONS_COUNTED;

    (void)pthread_mutex_lock(&sessions->lock);
    struct relay_session *session = relay_session_table_find(&sessions->table, client, id);

    if (sessions->terms.max_hours == 0) {
        result = RELAY_SESSIONS_OFF;
    } else if (session == NULL && sessions->table.by_id.count >= sessions->terms.max_sessions) {
        sessions->stats.surplus++;
        result = RELAY_SESSIONS_FULL;
    } else {
        if (session == NULL) {
            struct netaddr addr = relay_entry_client(client, sessions->terms.ipv6_prefix_bits);

            session = relay_session_table_add(&sessions->table, client, &addr, id, now_ms);
        }
        session->begun_ms = now_ms;
        session->unsettled++;
        relay_ring_remove(&session->age);
        relay_ring_append(&sessions->table.ages, &session->age);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return result;
}

/* It was granted, or will be. */
static void open_session(struct relay_sessions *sessions, struct relay_session *session,
                         const struct relay_entry *login)
{
    relay_session_table_set_open(&sessions->table, session, true);
    set_text(&session->place->user, login->user);
    set_text(&session->place->service, login->service);
}

bool relay_sessions_settle(struct relay_sessions *sessions, const struct relay_entry *login,
                           const char *id, enum relay_sessions_outcome outcome, int64_t now_ms)
{
    (void)pthread_mutex_lock(&sessions->lock);
    struct relay_session *session = relay_session_table_find(&sessions->table, &login->addr, id);
    bool is_open = session != NULL;

    if (session != NULL) {
        session->unsettled -= session->unsettled > 0;
        switch (outcome) {
        case RELAY_SESSIONS_GRANTED:
            open_session(sessions, session, login);
            note_date(sessions, session->place, login->login_at, now_ms);
            break;
        case RELAY_SESSIONS_OWED:
            open_session(sessions, session, login);
            relay_session_table_set_owed(&sessions->table, session->place, true);
            session->is_owed = true;
            session->place->is_paid = false; /* what is with the store is another login */
            break;
        case RELAY_SESSIONS_REFUSED:
            is_open = session->is_open;
            if (!is_open && session->unsettled == 0) {
                relay_session_table_remove(&sessions->table, session);
            }
            break;
        }
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return is_open;
}

bool relay_sessions_end(struct relay_sessions *sessions, const struct netaddr *client,
                        const char *id, struct relay_sessions_grant *grant_out)
{
    (void)pthread_mutex_lock(&sessions->lock);
    struct relay_session *session = relay_session_table_find(&sessions->table, client, id);
    bool is_last = false;

    if (session != NULL) {
        is_last = session->is_open && session->place->open == 1;
        copy_grant(session->place, grant_out);
        relay_session_table_remove(&sessions->table, session);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return is_last;
}

/* ---- keeping entries alive ---- */

static struct netaddr take(struct relay_sessions *sessions, struct relay_place *place,
                           int64_t now_ms)
{
    place->is_taken = true;
    place->taken_ms = relay_turns_time(&sessions->when, now_ms);
    return place->addr;
}

size_t relay_sessions_take_due(struct relay_sessions *sessions, int64_t now_ms,
                               struct netaddr *due_out, size_t most)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&sessions->lock);
    relay_turns_begin(&sessions->when, sessions->table.by_addr.count, most, now_ms);
    for (struct relay_ring *at = sessions->table.owed.after;
         at != &sessions->table.owed && count < most; at = at->after) {
        struct relay_place *place = relay_session_table_of_owed(at);

        if (!place->is_taken && place->open > 0) {
            due_out[count++] = take(sessions, place, now_ms);
        }
    }
    for (struct relay_ring *at = sessions->table.turns.after;
         at != &sessions->table.turns && count < most; at = at->after) {
        struct relay_place *place = relay_session_table_of_turn(at);

        if (!place->is_taken && place->open > 0) {
            if (!relay_turns_is_due(&sessions->when, place->touched_ms, now_ms)) {
                break;
            }
            due_out[count++] = take(sessions, place, now_ms);
        }
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return count;
}

void relay_sessions_all_due(struct relay_sessions *sessions, int64_t now_ms)
{
    (void)pthread_mutex_lock(&sessions->lock);
    relay_turns_all_due(&sessions->when, now_ms);
    (void)pthread_mutex_unlock(&sessions->lock);
}

static bool has_expired(const struct relay_sessions *sessions, int64_t date, int64_t now)
{
    unsigned window = sessions->terms.window_minutes;

    return window > 0 && date > 0 && date + (int64_t)window * SECONDS_OF_MINUTE <= now;
}

bool relay_sessions_has_expired(const struct relay_sessions *sessions, int64_t date, int64_t now)
{
    struct relay_sessions *own = (struct relay_sessions *)(uintptr_t)sessions;

    (void)pthread_mutex_lock(&own->lock);
    bool expired = has_expired(own, date, now);

    (void)pthread_mutex_unlock(&own->lock);
    return expired;
}

/* All that are open, or those whose own login is owed; the ones that wait for the store will hear from it. */
static void forget_place(struct relay_sessions *sessions, struct relay_place *place, bool all)
{
    struct relay_ring *at = place->sessions.after;

    /* The last one takes the place away, too. */
    for (size_t left = place->open; left > 0;) {
        struct relay_session *session = relay_session_table_of_place(at);

        at = at->after;
        left -= session->is_open;
        if (session->is_open && (all || session->is_owed)) {
            sessions->stats.withdrawn++;
            if (session->unsettled > 0) {
                relay_session_table_set_open(&sessions->table, session, false);
            } else {
                relay_session_table_remove(&sessions->table, session);
            }
        }
    }
}

/* What is owed will not be had. Who logged in to the entry that is there besides has no part in that. */
static void refuse_owed(struct relay_sessions *sessions, struct relay_place *place)
{
    const struct netaddr addr = place->addr;

    forget_place(sessions, place, !place->is_there);
    place = relay_session_table_find_place(&sessions->table, &addr);
    if (place != NULL) {
        relay_session_table_set_owed(&sessions->table, place, false);
    }
}

/* Nobody has granted yet what is owed. */
static enum relay_sessions_next pay(struct relay_place *place, enum status status,
                                    struct relay_sessions_grant *grant_out)
{
    if (status == STATUS_TEMPFAIL) {
        return RELAY_SESSIONS_DONE;
    }
    copy_grant(
        place,
        grant_out); /* an entry that is there may be another user's; a no is final only to this */
    place->is_there = status == STATUS_OK;
    place->is_taken = place->is_paid = true;
    return RELAY_SESSIONS_GRANT_ANEW;
}

enum relay_sessions_next relay_sessions_touched(struct relay_sessions *sessions,
                                                const struct netaddr *addr, enum status status,
                                                int64_t date, int64_t now,
                                                struct relay_sessions_grant *grant_out)
{
    enum relay_sessions_next next = RELAY_SESSIONS_DONE;

    (void)pthread_mutex_lock(&sessions->lock);
    struct relay_place *place = relay_session_table_find_place(&sessions->table, addr);

    sessions->stats.touches += status == STATUS_OK;
    if (place != NULL) {
        bool was_paid = place->is_paid;

        place->is_taken = place->is_paid = false;
        if (place->is_owed && !was_paid) {
            next = pay(place, status, grant_out);
        } else if (status == STATUS_OK) {
            note_date(sessions, place, date, place->taken_ms);
        } else if (status == STATUS_NOTFOUND && has_expired(sessions, place->date, now)) {
            copy_grant(place, grant_out);
            place->is_taken = true;
            next = RELAY_SESSIONS_GRANT_ANEW;
        } else if (status != STATUS_TEMPFAIL && place->open > 0) {
            if (place->is_owed) {
                refuse_owed(sessions, place);
            } else {
                forget_place(sessions, place, true);
            }
            next = RELAY_SESSIONS_FORGOTTEN;
        }
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return next;
}

size_t relay_sessions_forget_old(struct relay_sessions *sessions, int64_t now_ms, size_t most,
                                 struct netaddr *first_out)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&sessions->lock);
    int64_t until = now_ms - sessions->terms.max_hours * MS_PER_HOUR;

    while (count < most && !relay_ring_is_empty(&sessions->table.ages)) {
        struct relay_session *session = relay_session_table_of_age(sessions->table.ages.after);

        if (session->begun_ms > until) {
            break;
        }
        if (count++ == 0) {
            *first_out = session->client;
        }
        relay_session_table_remove(&sessions->table, session);
    }
    sessions->stats.too_old += count;
    (void)pthread_mutex_unlock(&sessions->lock);
    return count;
}

/* ---- life ---- */

void relay_sessions_configure(struct relay_sessions *sessions,
                              const struct relay_sessions_terms *terms, int64_t now_ms)
{
    (void)pthread_mutex_lock(&sessions->lock);
    relay_turns_set_window(&sessions->when, terms->window_minutes, now_ms);
    sessions->terms = *terms;
    if (terms->max_hours == 0) {
        relay_session_table_remove_all(&sessions->table);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
}

bool relay_sessions_is_empty(const struct relay_sessions *sessions)
{
    struct relay_sessions *own = (struct relay_sessions *)(uintptr_t)sessions;

    (void)pthread_mutex_lock(&own->lock);
    bool is_empty = own->table.by_id.count == 0;

    (void)pthread_mutex_unlock(&own->lock);
    return is_empty;
}

size_t relay_sessions_open_at(const struct relay_sessions *sessions, const struct netaddr *entry)
{
    struct relay_sessions *own = (struct relay_sessions *)(uintptr_t)sessions;

    (void)pthread_mutex_lock(&own->lock);
    const struct relay_place *place = relay_session_table_find_place(&own->table, entry);
    size_t open = place == NULL ? 0 : place->open;

    (void)pthread_mutex_unlock(&own->lock);
    return open;
}

void relay_sessions_stats(const struct relay_sessions *sessions,
                          struct relay_sessions_stats *stats_out)
{
    struct relay_sessions *own = (struct relay_sessions *)(uintptr_t)sessions;

    (void)pthread_mutex_lock(&own->lock);
    *stats_out = own->stats;
    stats_out->sessions = own->table.open;
    stats_out->addresses = own->table.open_places;
    stats_out->owed = own->table.owed_places;
    (void)pthread_mutex_unlock(&own->lock);
}

struct relay_sessions *relay_sessions_new(const struct relay_sessions_terms *terms)
{
    struct relay_sessions *sessions = xcalloc(1, sizeof(*sessions));

    (void)pthread_mutex_init(&sessions->lock, NULL);
    sessions->terms = *terms;
    relay_turns_init(&sessions->when, terms->window_minutes);
    relay_session_table_init(&sessions->table);
    return sessions;
}

void relay_sessions_free(struct relay_sessions **sessions)
{
    if (*sessions == NULL) {
        return;
    }
    relay_session_table_fini(&(*sessions)->table);
    (void)pthread_mutex_destroy(&(*sessions)->lock);
    free(*sessions);
    *sessions = NULL;
}
