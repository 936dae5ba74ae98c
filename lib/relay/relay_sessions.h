/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_sessions - the POP and IMAP sessions that are open, so that nobody's window ends while he is logged in.
 *
 * A session is a client's address and the id that its server gave it. Sessions of one address (many people may be behind it) share its
 * entry in the store, and that entry is touched, time and again, until the last of them has ended. Who keeps the sessions does
 * that: here is counted what is open, and said which entries are due. Nothing is kept on disk: after a restart nothing is open, and
 * entries last until their window ends.
 *
 * `now_ms` is a clock that never goes back, in milliseconds; `date` is Unix time in seconds. All functions are safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_SESSIONS_H
#define POSTERN_LIB_RELAY_RELAY_SESSIONS_H

#include "lib/base/status.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest id, in bytes. */
#define RELAY_SESSIONS_ID_MAX 128u

struct relay_sessions;

/* What a reload may change. */
struct relay_sessions_terms {
    unsigned
        max_hours; /* what is open for longer is forgotten: its end must have been lost; 0: no session is counted */
    size_t max_sessions; /* further ones are not counted */
    unsigned window_minutes;
    unsigned ipv6_prefix_bits;
};

struct relay_sessions *relay_sessions_new(const struct relay_sessions_terms *terms);
void relay_sessions_free(struct relay_sessions **sessions);

/* With another window all entries are due; with max_hours 0 all is forgotten. */
void relay_sessions_configure(struct relay_sessions *sessions,
                              const struct relay_sessions_terms *terms, int64_t now_ms);

/* ---- login and logout ---- */

enum relay_sessions_result {
    RELAY_SESSIONS_COUNTED, /* relay_sessions_settle() must follow */
    RELAY_SESSIONS_OFF,     /* none is counted */
    RELAY_SESSIONS_FULL,    /* there are max_sessions already */
};

/*
 * A login goes to the store now: the session counts once relay_sessions_settle() says that it was granted. One that is open already
 * is still one, and its age begins anew.
 */
enum relay_sessions_result relay_sessions_begin(struct relay_sessions *sessions,
                                                const struct netaddr *client, const char *id,
                                                int64_t now_ms);

/* What the store made of a login. */
enum relay_sessions_outcome {
    RELAY_SESSIONS_GRANTED,
    RELAY_SESSIONS_REFUSED, /* for good: the session does not count */
    RELAY_SESSIONS_OWED, /* it is away: the session counts, and its entry is due at once, and until it is there */
};

/* What became of the login. False: the session is not open; it may have ended meanwhile. */
bool relay_sessions_settle(struct relay_sessions *sessions, const struct relay_entry *login,
                           const char *id, enum relay_sessions_outcome outcome, int64_t now_ms);

/* An entry of the store that sessions have kept alive; the caller's storage. */
struct relay_sessions_grant {
    struct netaddr addr;
    int64_t date; /* the last one that the entry is known to have had; 0: none */
    bool
        is_owed; /* the last login could not be recorded: that there is no entry is nobody's will */
    char user[RELAY_USER_MAX + 1];
    char service[RELAY_SERVICE_MAX + 1];
};

/*
 * A session ends. True: it was open, and was the last one of its address; the window of *grant_out is to begin now. False: there is nothing
 * to be done: there are others, or nothing is known of this one.
 */
bool relay_sessions_end(struct relay_sessions *sessions, const struct netaddr *client,
                        const char *id, struct relay_sessions_grant *grant_out);

/*
 * Had an entry with this date gone by `now` by itself, because nobody could touch it? Else an entry that is not there was taken away by
 * somebody.
 */
bool relay_sessions_has_expired(const struct relay_sessions *sessions, int64_t date, int64_t now);

/* ---- keeping entries alive ---- */

/*
 * Entries that are to be touched now: those that are owed, then by relay_turns.h, `most` at most. relay_sessions_touched() must follow for each; until then it is
 * not named again. Returns how many.
 */
size_t relay_sessions_take_due(struct relay_sessions *sessions, int64_t now_ms,
                               struct netaddr *due_out, size_t most);

/* The clock of the dates was set: all entries are due. */
void relay_sessions_all_due(struct relay_sessions *sessions, int64_t now_ms);

enum relay_sessions_next {
    RELAY_SESSIONS_DONE,
    RELAY_SESSIONS_GRANT_ANEW, /* it had expired while its store was away, or is owed: log *grant_out in again, and tell what came of it */
    RELAY_SESSIONS_FORGOTTEN,  /* somebody took the entry away: its sessions count no longer */
};

/*
 * What the store says of an entry, touched or granted anew with `date`: STATUS_OK, STATUS_NOTFOUND (it is not there), STATUS_INVALID
 * (it cannot be), or STATUS_TEMPFAIL (it stays due). `now` is the date of now.
 */
enum relay_sessions_next relay_sessions_touched(struct relay_sessions *sessions,
                                                const struct netaddr *addr, enum status status,
                                                int64_t date, int64_t now,
                                                struct relay_sessions_grant *grant_out);

/* Forgets sessions that are too old, up to `most`; *first_out is the client of the first of them. Returns how many. */
size_t relay_sessions_forget_old(struct relay_sessions *sessions, int64_t now_ms, size_t most,
                                 struct netaddr *first_out);

/* Is there nothing open, nor about to be? */
bool relay_sessions_is_empty(const struct relay_sessions *sessions);

/* How many sessions are open whose entry in the store is this one. */
size_t relay_sessions_open_at(const struct relay_sessions *sessions, const struct netaddr *entry);

struct relay_sessions_stats {
    size_t sessions;    /* that are open */
    size_t addresses;   /* of the store's entries that they keep alive */
    size_t owed;        /* of these entries, that the store could not take yet */
    uint64_t surplus;   /* logins that were not counted because of max_sessions, since the start */
    uint64_t too_old;   /* sessions whose end was never told */
    uint64_t withdrawn; /* sessions whose entry was taken away */
    uint64_t touches;   /* of entries, that the store has made */
};
void relay_sessions_stats(const struct relay_sessions *sessions,
                          struct relay_sessions_stats *stats_out);

#endif
