/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_store - the addresses that may relay because they logged in: the interface, whatever keeps them.
 *
 * One process has a store at a time. Changes are made by the store's own thread: those that arrive together share one
 * write to the disk, and each is told that it is done only when it is on the disk. Questions are answered from memory and wait for
 * nothing. All functions are safe for threads.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_STORE_H
#define POSTERN_LIB_RELAY_RELAY_STORE_H

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/relay/relay_entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_store;

enum relay_backend {
    RELAY_BACKEND_GDBM,  /* files of this host */
    RELAY_BACKEND_REDIS, /* a server that several hosts share */
};

/* What becomes of the login of a user that has come from more addresses than it may. */
enum relay_excess {
    RELAY_EXCESS_LOG,      /* it counts as any other */
    RELAY_EXCESS_REFUSE,   /* it is not recorded */
    RELAY_EXCESS_WITHDRAW, /* nor that; and all entries of the user are removed */
};

/* What a reload may change. */
struct relay_terms {
    unsigned window_minutes; /* 0: entries never expire */
    size_t max_entries;
    unsigned
        ipv6_prefix_bits; /* a login of an IPv6 address is recorded for this prefix; 128: the address */
    unsigned addresses_per_user; /* within the window, or a day if there is none; 0: any number */
    enum relay_excess addresses_exceeded;
};

struct relay_redis_options {
    const char *url;           /* redis://, rediss:// or unix: */
    const char *password_file; /* "": none */
    const char *ca_file;       /* for rediss://; "": the system's */
    const char *key_prefix;
    unsigned timeout_ms; /* for each answer */
};

struct relay_store_options {
    enum relay_backend backend;
    const char *file; /* "/var/lib/postern/relayers.gdbm" */
    struct relay_redis_options redis;
    struct relay_terms terms;
    struct logger *logger; /* may be NULL */
    bool wait; /* for a daemon: if the store cannot be had now, try again until it can */
};

/*
 * Opens the store, walks and verifies it, repairs it where that is needed; all that is done is logged. With `wait` it never
 * fails: until the file can be had, relay_store_find() finds nothing and changes fail. Without, NULL: `why` says what is wrong (another
 * process has it, ...). The options are copied.
 */
struct relay_store *relay_store_open(const struct relay_store_options *options, struct strbuf *why);

/*
 * The entries as the files have them now, without the lock, and without a byte of them being changed: for a program that only
 * asks. Another process may have the store. Changes fail. NULL: they cannot be read, or there are none.
 */
struct relay_store *relay_store_read(const struct relay_store_options *options, struct strbuf *why);

/* Ends the thread after what was submitted is done, brings the file up to date and closes it; NULL is legal. */
void relay_store_close(struct relay_store **store);

/* What a reload has changed. */
void relay_store_configure(struct relay_store *store, const struct relay_terms *terms);

/* ---- questions ---- */

/* May a question wait for somebody else's answer? Not for the thread of an event loop, then. */
bool relay_store_waits(const struct relay_store *store);

/* What was found; a copy that is the caller's. */
struct relay_found {
    struct netaddr addr; /* of the entry: perhaps a network that holds the client */
    int64_t login_at;
    char user[RELAY_USER_MAX + 1];
    char service[RELAY_SERVICE_MAX + 1];
};

/*
 * May this client relay at `now` (Unix time)? STATUS_OK: yes, by *found_out (may be NULL). STATUS_NOTFOUND: no.
 * STATUS_TEMPFAIL: the store has no file to know it from; to be taken as no.
 */
enum status relay_store_find(const struct relay_store *store, const struct netaddr *client,
                             int64_t now, struct relay_found *found_out);

/* For people, of a client that was not found: appends whether there is an entry whose window is over, or none. */
void relay_store_explain(const struct relay_store *store, const struct netaddr *client,
                         struct strbuf *why);

/*
 * A recipient is to be relayed because of the entry of `addr`, as relay_store_find() gave it: counts it against the entry's `limit` of
 * recipients an hour (0: any number, it is only counted). The hour begins with its first recipient. STATUS_OK: it is counted; STATUS_NOTFOUND: there were as many
 * already; STATUS_TEMPFAIL: it cannot be known, to be taken as the end of the permission.
 */
enum status relay_store_charge(struct relay_store *store, const struct netaddr *addr,
                               unsigned limit, int64_t now);

/* One of those who have sent to most recipients because they logged in, since this process opened the store. */
struct relay_top {
    struct netaddr addr; /* of the entry */
    uint64_t recipients;
    uint64_t refused;   /* beyond the limit of an hour */
    unsigned this_hour; /* recipients in the hour that runs now */
};

/* The first `size` of them, the one with most first; returns how many there are. */
size_t relay_store_top(const struct relay_store *store, struct relay_top *top, size_t size);

/*
 * Calls `visit` for all entries, in no order, a few at a time: *cursor begins with 0; false when there are no more. Entries that are there all the
 * while are visited once. `visit` must be quick and must not call the store; the entry lives until it returns. A walk that the store could not
 * go on with has ended, too: *cursor is RELAY_WALK_FAILED then.
 */
#define RELAY_WALK_FAILED SIZE_MAX
typedef void relay_store_visit(void *ctx, const struct relay_entry *entry);
bool relay_store_walk(const struct relay_store *store, size_t *cursor, relay_store_visit *visit,
                      void *ctx);

struct relay_store_stats {
    size_t entries;
    uint64_t granted; /* logins and additions since the start */
    uint64_t refused; /* that could not be recorded */
    uint64_t removed; /* by remove */
    uint64_t expired; /* by expire and by the end of their window */
    uint64_t found;   /* questions answered yes */
    uint64_t asked;
    uint64_t syncs;
    uint64_t recipients;         /* charged since the start */
    uint64_t recipients_refused; /* beyond the limit of an hour */
    bool usable;                 /* false: there is no file */
    char failure[256];           /* why not, or why changes fail now; "" if all is well */
};
void relay_store_stats(const struct relay_store *store, struct relay_store_stats *stats_out);

/* ---- changes ---- */

enum relay_change_kind {
    RELAY_LOGIN, /* entry.addr (for IPv6 the configured prefix of it) logged in at entry.login_at; an older date never replaces a younger one */
    RELAY_ADD, /* the entry as it is, prefix and date too, replaces what is there for the same address */
    RELAY_TOUCH, /* the entry of exactly entry.addr gets the date entry.login_at, unless it has a later one; user and service stay. Result STATUS_NOTFOUND if there is none */
    RELAY_MERGE, /* the entry as it is, unless its address has one that is as young: count 1, it was taken; 0, that one stays */
    RELAY_REMOVE, /* entry.addr; result STATUS_NOTFOUND if it is not there */
    RELAY_EXPIRE, /* entries older than `minutes` and not dated in the future; all if `all` */
    RELAY_REPLACE, /* all entries by those of `entries`, at once: whoever asks sees all old or all new ones */
};

/*
 * A change, in the caller's storage until `done` was called; entry and texts too. `done` is called by the store's thread, when the change
 * is on the disk or has failed: `status` STATUS_OK, STATUS_NOTFOUND, STATUS_INVALID (the store is full, or the entry is not allowed) or STATUS_TEMPFAIL (the disk);
 * `why` is a text for people, "" with STATUS_OK; `count` how many entries were removed, merged or loaded.
 */
struct relay_change {
    enum relay_change_kind kind;
    struct relay_entry entry;
    unsigned minutes;
    bool all;
    const struct relay_entry *entries; /* no address twice */
    size_t entry_count;
    bool
        is_excess; /* set by the store for a RELAY_LOGIN: the user has come from more than addresses_per_user, and this is news */
    unsigned addresses; /* with it: from how many */
    void (*done)(struct relay_change *change, enum status status, const char *why, size_t count);
    void *ctx;
    struct relay_change *next; /* the store's own; also links a list that is given at once */
};

/* Gives one change, or a list linked by `next`, to the store's thread; waits for nothing. The order is kept. */
void relay_store_submit(struct relay_store *store, struct relay_change *changes);

/* Submits one change (its `done` and `ctx` are overwritten) and waits for it. */
enum status relay_store_apply(struct relay_store *store, struct relay_change *change,
                              struct strbuf *why, size_t *count_out);

#endif
