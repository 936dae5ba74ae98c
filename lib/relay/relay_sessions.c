/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_sessions.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_chains.h"
#include "lib/relay/relay_ring.h"
#include "lib/relay/relay_turns.h"
#include "lib/table/hash64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SECONDS_OF_MINUTE 60
#define MS_PER_HOUR INT64_C(3600000)

/* An entry of the store, and the sessions of its address. */
struct place {
    struct relay_chain chain;
    struct relay_ring turn; /* of relay_sessions.turns */
    struct relay_ring sessions;
    struct netaddr addr; /* as granted */
    size_t open;         /* sessions that count; others wait for the store */
    int64_t touched_ms;  /* when its date was set last */
    int64_t date;
    bool is_taken; /* by relay_sessions_take_due() */
    int64_t taken_ms;
    char *user;
    char *service;
};

struct session {
    struct relay_chain chain;
    struct relay_ring age; /* of relay_sessions.ages */
    struct relay_ring of_place;
    struct place *place;
    struct netaddr client;
    int64_t begun_ms;
    unsigned unsettled; /* logins that are with the store */
    bool is_open;
    char id[];
};

struct relay_sessions {
    pthread_mutex_t lock; /* of all below */
    struct relay_sessions_terms terms;
    uint64_t seed;
    struct relay_chains by_id;
    struct relay_chains by_addr;
    struct relay_ring ages;  /* sessions, the oldest first */
    struct relay_ring turns; /* places, that which was touched longest ago first */
    struct relay_turns when;
    struct relay_sessions_stats stats;
};

/* ---- lists ---- */

static struct session *session_of_age(struct relay_ring *ring)
{
    return (struct session *)(void *)((char *)ring - offsetof(struct session, age));
}

static struct session *session_of_place(struct relay_ring *ring)
{
    return (struct session *)(void *)((char *)ring - offsetof(struct session, of_place));
}

static struct place *place_of_turn(struct relay_ring *ring)
{
    return (struct place *)(void *)((char *)ring - offsetof(struct place, turn));
}

/* ---- finding ---- */

static uint64_t hash_addr(const struct relay_sessions *sessions, const struct netaddr *addr)
{
    return hash64(addr->bytes, sizeof(addr->bytes),
                  sessions->seed ^ (addr->bits | (uint64_t)addr->family << 8));
}

static uint64_t hash_session(const struct relay_sessions *sessions, const struct netaddr *client,
                             const char *id)
{
    return hash64(id, strlen(id), hash_addr(sessions, client));
}

/* The members `chain` come first in both: a pointer to it is one to the whole. */
static struct session *find_session(const struct relay_sessions *sessions,
                                    const struct netaddr *client, const char *id)
{
    uint64_t hash = hash_session(sessions, client, id);
    struct relay_chain *chain = NULL;

    while ((chain = relay_chains_next(&sessions->by_id, hash, chain)) != NULL) {
        struct session *session = (struct session *)chain;

        if (netaddr_equal(&session->client, client) && strcmp(session->id, id) == 0) {
            return session;
        }
    }
    return NULL;
}

static struct place *find_place(const struct relay_sessions *sessions, const struct netaddr *addr)
{
    uint64_t hash = hash_addr(sessions, addr);
    struct relay_chain *chain = NULL;

    while ((chain = relay_chains_next(&sessions->by_addr, hash, chain)) != NULL) {
        struct place *place = (struct place *)chain;

        if (netaddr_equal(&place->addr, addr)) {
            return place;
        }
    }
    return NULL;
}

/* ---- coming and going ---- */

static struct place *add_place(struct relay_sessions *sessions, const struct netaddr *addr,
                               int64_t now_ms)
{
    struct place *place = xcalloc(1, sizeof(*place));

    place->addr = *addr;
    place->touched_ms = now_ms;
    relay_ring_init(&place->sessions);
    relay_ring_append(&sessions->turns, &place->turn);
    relay_chains_add(&sessions->by_addr, &place->chain, hash_addr(sessions, addr));
    return place;
}

static void remove_place(struct relay_sessions *sessions, struct place *place)
{
    relay_ring_remove(&place->turn);
    relay_chains_remove(&sessions->by_addr, &place->chain);
    free(place->user);
    free(place->service);
    free(place);
}

static struct session *add_session(struct relay_sessions *sessions, const struct netaddr *client,
                                   const char *id, int64_t now_ms)
{
    struct netaddr addr = relay_entry_client(client, sessions->terms.ipv6_prefix_bits);
    size_t size = strlen(id) + 1;
    struct session *session = xcalloc(1, sizeof(*session) + size);

    session->client = *client;
    memcpy(session->id, id, size);
    session->place = find_place(sessions, &addr);
    if (session->place == NULL) {
        session->place = add_place(sessions, &addr, now_ms);
    }
    relay_ring_append(&session->place->sessions, &session->of_place);
    relay_ring_append(&sessions->ages, &session->age);
    relay_chains_add(&sessions->by_id, &session->chain, hash_session(sessions, client, id));
    return session;
}

static void set_open(struct relay_sessions *sessions, struct session *session, bool is_open)
{
    struct place *place = session->place;

    if (session->is_open == is_open) {
        return;
    }
    session->is_open = is_open;
    if (is_open) {
        sessions->stats.sessions++;
        sessions->stats.addresses += place->open++ == 0;
    } else {
        sessions->stats.sessions--;
        sessions->stats.addresses -= --place->open == 0;
    }
}

/* Its place goes with its last session. */
static void remove_session(struct relay_sessions *sessions, struct session *session)
{
    struct place *place = session->place;

    set_open(sessions, session, false);
    relay_ring_remove(&session->age);
    relay_ring_remove(&session->of_place);
    relay_chains_remove(&sessions->by_id, &session->chain);
    free(session);
    if (relay_ring_is_empty(&place->sessions)) {
        remove_place(sessions, place);
    }
}

static void forget_all(struct relay_sessions *sessions)
{
    while (!relay_ring_is_empty(&sessions->ages)) {
        remove_session(sessions, session_of_age(sessions->ages.after));
    }
}

/* The entry has this date on the disk. */
static void note_date(struct relay_sessions *sessions, struct place *place, int64_t date,
                      int64_t now_ms)
{
    if (date > place->date) {
        place->date = date;
    }
    if (now_ms >= place->touched_ms) {
        place->touched_ms = now_ms;
        relay_ring_remove(&place->turn);
        relay_ring_append(&sessions->turns, &place->turn);
    }
}

static void set_text(char **text, const char *value)
{
    if (*text == NULL || strcmp(*text, value) != 0) {
        free(*text);
        *text = xstrdup(value);
    }
}

static void copy_grant(const struct place *place, struct relay_sessions_grant *grant_out)
{
    *grant_out = (struct relay_sessions_grant){.addr = place->addr, .date = place->date};
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
    struct session *session = find_session(sessions, client, id);

    if (sessions->terms.max_hours == 0) {
        result = RELAY_SESSIONS_OFF;
    } else if (session == NULL && sessions->by_id.count >= sessions->terms.max_sessions) {
        sessions->stats.surplus++;
        result = RELAY_SESSIONS_FULL;
    } else {
        if (session == NULL) {
            session = add_session(sessions, client, id, now_ms);
        }
        session->begun_ms = now_ms;
        session->unsettled++;
        relay_ring_remove(&session->age);
        relay_ring_append(&sessions->ages, &session->age);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return result;
}

void relay_sessions_settle(struct relay_sessions *sessions, const struct relay_entry *login,
                           const char *id, bool was_granted, int64_t now_ms)
{
    (void)pthread_mutex_lock(&sessions->lock);
    struct session *session = find_session(sessions, &login->addr, id);

    if (session != NULL) {
        session->unsettled -= session->unsettled > 0;
        if (was_granted) {
            set_open(sessions, session, true);
            set_text(&session->place->user, login->user);
            set_text(&session->place->service, login->service);
            note_date(sessions, session->place, login->login_at, now_ms);
        } else if (!session->is_open && session->unsettled == 0) {
            remove_session(sessions, session);
        }
    }
    (void)pthread_mutex_unlock(&sessions->lock);
}

bool relay_sessions_end(struct relay_sessions *sessions, const struct netaddr *client,
                        const char *id, struct relay_sessions_grant *grant_out)
{
    (void)pthread_mutex_lock(&sessions->lock);
    struct session *session = find_session(sessions, client, id);
    bool is_last = false;

    if (session != NULL) {
        is_last = session->is_open && session->place->open == 1;
        copy_grant(session->place, grant_out);
        remove_session(sessions, session);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return is_last;
}

/* ---- keeping entries alive ---- */

size_t relay_sessions_take_due(struct relay_sessions *sessions, int64_t now_ms,
                               struct netaddr *due_out, size_t most)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&sessions->lock);
    relay_turns_begin(&sessions->when, sessions->by_addr.count, most, now_ms);
    for (struct relay_ring *at = sessions->turns.after; at != &sessions->turns && count < most;
         at = at->after) {
        struct place *place = place_of_turn(at);

        if (!place->is_taken && place->open > 0) {
            if (!relay_turns_is_due(&sessions->when, place->touched_ms, now_ms)) {
                break;
            }
            place->is_taken = true;
            place->taken_ms = relay_turns_time(&sessions->when, now_ms);
            due_out[count++] = place->addr;
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

/* All that are open; those that wait for the store will hear from it. */
static void forget_place(struct relay_sessions *sessions, struct place *place)
{
    struct relay_ring *at = place->sessions.after;

    /* The last one takes the place away, too. */
    for (size_t left = place->open; left > 0;) {
        struct session *session = session_of_place(at);

        at = at->after;
        if (session->is_open) {
            left--;
            sessions->stats.withdrawn++;
            if (session->unsettled > 0) {
                set_open(sessions, session, false);
            } else {
                remove_session(sessions, session);
            }
        }
    }
}

enum relay_sessions_next relay_sessions_touched(struct relay_sessions *sessions,
                                                const struct netaddr *addr, enum status status,
                                                int64_t date, int64_t now,
                                                struct relay_sessions_grant *grant_out)
{
    enum relay_sessions_next next = RELAY_SESSIONS_DONE;

    (void)pthread_mutex_lock(&sessions->lock);
    struct place *place = find_place(sessions, addr);

    sessions->stats.touches += status == STATUS_OK;
    if (place != NULL) {
        place->is_taken = false;
        if (status == STATUS_OK) {
            note_date(sessions, place, date, place->taken_ms);
        } else if (status == STATUS_NOTFOUND && has_expired(sessions, place->date, now)) {
            copy_grant(place, grant_out);
            place->is_taken = true;
            next = RELAY_SESSIONS_GRANT_ANEW;
        } else if (status != STATUS_TEMPFAIL && place->open > 0) {
            forget_place(sessions, place);
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

    while (count < most && !relay_ring_is_empty(&sessions->ages)) {
        struct session *session = session_of_age(sessions->ages.after);

        if (session->begun_ms > until) {
            break;
        }
        if (count++ == 0) {
            *first_out = session->client;
        }
        remove_session(sessions, session);
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
        forget_all(sessions);
    }
    (void)pthread_mutex_unlock(&sessions->lock);
}

bool relay_sessions_is_empty(const struct relay_sessions *sessions)
{
    struct relay_sessions *own = (struct relay_sessions *)(uintptr_t)sessions;

    (void)pthread_mutex_lock(&own->lock);
    bool is_empty = own->by_id.count == 0;

    (void)pthread_mutex_unlock(&own->lock);
    return is_empty;
}

void relay_sessions_stats(const struct relay_sessions *sessions,
                          struct relay_sessions_stats *stats_out)
{
    struct relay_sessions *own = (struct relay_sessions *)(uintptr_t)sessions;

    (void)pthread_mutex_lock(&own->lock);
    *stats_out = own->stats;
    (void)pthread_mutex_unlock(&own->lock);
}

struct relay_sessions *relay_sessions_new(const struct relay_sessions_terms *terms)
{
    struct relay_sessions *sessions = xcalloc(1, sizeof(*sessions));

    (void)pthread_mutex_init(&sessions->lock, NULL);
    sessions->terms = *terms;
    relay_turns_init(&sessions->when, terms->window_minutes);
    relay_ring_init(&sessions->ages);
    relay_ring_init(&sessions->turns);
    if (getrandom(&sessions->seed, sizeof(sessions->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(sessions->seed)) {
        sessions->seed = (uint64_t)(uintptr_t)sessions; /* early in the boot: hard to guess, too */
    }
    return sessions;
}

void relay_sessions_free(struct relay_sessions **sessions)
{
    if (*sessions == NULL) {
        return;
    }
    forget_all(*sessions);
    relay_chains_fini(&(*sessions)->by_id);
    relay_chains_fini(&(*sessions)->by_addr);
    (void)pthread_mutex_destroy(&(*sessions)->lock);
    free(*sessions);
    *sessions = NULL;
}
