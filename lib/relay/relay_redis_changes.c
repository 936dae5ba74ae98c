/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_changes.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_redis_bulk.h"
#include "lib/relay/relay_redis_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AT_ONCE 64u /* changes whose answers are waited for together */
#define SECONDS_OF_MINUTE 60
#define NO_ENTRY "there is no such entry"
#define TEXT_SIZE 256u

struct relay_redis_changes {
    const struct relay_redis_asked *asked;
    struct relay_trouble *trouble;
    struct relay_counts *counts;
    const struct relay_settings *settings;
    struct relay_change *sent[AT_ONCE]; /* whose answers are awaited, in this order */
    size_t count;
    struct relay_change *late; /* whose users are to lose all their entries; linked by `next` */
    struct strbuf commands;
    struct strbuf user;
};

struct relay_redis_changes *relay_redis_changes_new(const struct relay_redis_asked *asked,
                                                    struct relay_trouble *trouble,
                                                    struct relay_counts *counts,
                                                    const struct relay_settings *settings)
{
    struct relay_redis_changes *changes = xcalloc(1, sizeof(*changes));

    changes->asked = asked;
    changes->trouble = trouble;
    changes->counts = counts;
    changes->settings = settings;
    strbuf_init(&changes->commands);
    strbuf_init(&changes->user);
    return changes;
}

void relay_redis_changes_free(struct relay_redis_changes **changes)
{
    if (*changes != NULL) {
        strbuf_fini(&(*changes)->commands);
        strbuf_fini(&(*changes)->user);
        free(*changes);
        *changes = NULL;
    }
}

static int64_t window_seconds(const struct relay_redis_changes *changes)
{
    return (int64_t)atomic_load(&changes->settings->window_minutes) * SECONDS_OF_MINUTE;
}

static void tell(struct relay_redis_changes *changes, struct relay_change *change,
                 enum status status, const char *why, size_t count)
{
    relay_batch_tell(changes->counts, change, status, why, count);
}

/* ---- answers ---- */

/* {result, addresses, 1 if this one is new, removed, expired} */
struct login_result {
    const char *word;
    int64_t numbers[4];
};

enum { ADDRESSES, IS_NEW, REMOVED, EXPIRED, NUMBERS };

static bool read_login(const struct relay_redis_reply *reply, struct login_result *out)
{
    if (reply->kind != RELAY_REDIS_ARRAY || reply->count != 1 + NUMBERS ||
        reply->items[0]->kind != RELAY_REDIS_TEXT) {
        return false;
    }
    out->word = reply->items[0]->text;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (reply->items[i + 1]->kind != RELAY_REDIS_INTEGER || reply->items[i + 1]->integer < 0) {
            return false;
        }
        out->numbers[i] = reply->items[i + 1]->integer;
    }
    return true;
}

static void refuse_full(struct relay_redis_changes *changes, struct relay_change *change)
{
    char why[TEXT_SIZE];

    (void)snprintf(why, sizeof(why),
                   "the store is full: it has %zu entries (relay_store: max_entries)",
                   atomic_load(&changes->settings->max_entries));
    relay_trouble_set(changes->trouble, RELAY_TROUBLE_FULL, why);
    tell(changes, change, STATUS_INVALID, why, 0);
}

static void refuse_excess(struct relay_redis_changes *changes, struct relay_change *change,
                          size_t removed)
{
    char why[TEXT_SIZE];

    (void)snprintf(why, sizeof(why),
                   "the user has come from more than %u addresses (relay_store: "
                   "addresses_per_user)",
                   atomic_load(&changes->settings->addresses_per_user));
    (void)atomic_fetch_add(&changes->counts->removed, removed);
    tell(changes, change, STATUS_INVALID, why, removed);
}

/*
 * The script has removed the entries that it knows to be the user's. Those that it cannot know (of the time before there was a limit; added by hand)
 * are looked for among all: that takes longer, and is done when the connection is free again.
 */
static void disown_later(struct relay_redis_changes *changes, struct relay_change *change,
                         size_t removed)
{
    change->next = changes->late;
    changes->late = change;
    change->entry_count = removed; /* has no other meaning for a login */
}

static void finish_login(struct relay_redis_changes *changes, struct relay_change *change,
                         const struct login_result *result)
{
    unsigned limit = atomic_load(&changes->settings->addresses_per_user);
    size_t removed = (size_t)result->numbers[REMOVED];
    bool is_to_disown = strcmp(result->word, "disown") == 0;

    (void)atomic_fetch_add(&changes->counts->expired, (uint64_t)result->numbers[EXPIRED]);
    change->addresses = (unsigned)result->numbers[ADDRESSES];
    /* What is still to be disowned is news: it may be that the answer to the first attempt was lost. */
    change->is_excess = change->kind == RELAY_LOGIN && limit > 0 && change->addresses > limit &&
                        (result->numbers[IS_NEW] == 1 || removed > 0 || is_to_disown);
    if (strcmp(result->word, "full") == 0) {
        refuse_full(changes, change);
        return;
    }
    if (is_to_disown) {
        disown_later(changes, change, removed);
    } else if (strcmp(result->word, "excess") == 0) {
        refuse_excess(changes, change, removed);
    } else {
        bool is_taken = strcmp(result->word, "taken") == 0;

        if (is_taken) { /* what writes nothing succeeds on a full disk, too */
            relay_trouble_clear(changes->trouble, RELAY_TROUBLE_CHANGES);
        }
        tell(changes, change, STATUS_OK, "", change->kind == RELAY_MERGE && is_taken ? 1 : 0);
    }
}

/* False: the answer makes no sense. */
static bool finish(struct relay_redis_changes *changes, struct relay_change *change,
                   const struct relay_redis_reply *reply)
{
    struct login_result result;

    switch (change->kind) {
    case RELAY_LOGIN:
    case RELAY_ADD:
    case RELAY_MERGE:
        if (!read_login(reply, &result)) {
            return false;
        }
        finish_login(changes, change, &result);
        return true;
    case RELAY_TOUCH:
    case RELAY_REMOVE:
        if (reply->kind != RELAY_REDIS_INTEGER) {
            return false;
        }
        tell(changes, change, reply->integer > 0 ? STATUS_OK : STATUS_NOTFOUND,
             reply->integer > 0 ? "" : NO_ENTRY, reply->integer > 0 ? 1 : 0);
        return true;
    case RELAY_EXPIRE:
    case RELAY_REPLACE:
        break;
    }
    return false;
}

/* ---- batches ---- */

/* The server refuses this change, and may take the next. What is no entry in the place of one stays there: waiting does not help. */
static void refuse_one(struct relay_redis_changes *changes, struct relay_change *change,
                       const char *error)
{
    enum status status = strstr(error, "WRONGTYPE") != NULL ? STATUS_INVALID : STATUS_TEMPFAIL;
    struct strbuf why;

    strbuf_init(&why);
    relay_redis_server_explain(error, &why);
    relay_trouble_set(changes->trouble, RELAY_TROUBLE_CHANGES, why.data);
    tell(changes, change, status, why.data, 0);
    strbuf_fini(&why);
}

/* The answers, as many as were sent; returns how many changes were told. `why` is set if that are not all. */
static size_t receive_all(struct relay_redis_changes *changes, struct relay_redis_loan *loan,
                          struct strbuf *why)
{
    size_t told = 0;

    for (; told < changes->count; told++) {
        struct relay_change *change = changes->sent[told];
        const struct relay_redis_reply *reply = relay_redis_link_receive(
            loan->link, relay_redis_server_deadline(changes->asked->server), why);

        if (reply == NULL) {
            return told;
        }
        if (reply->kind != RELAY_REDIS_ERROR) {
            if (!finish(changes, change, reply)) {
                strbuf_append(why, "its answer makes no sense");
                return told;
            }
        } else if (relay_redis_server_is_lost(reply->text)) {
            relay_redis_server_explain(reply->text, why);
            return told;
        } else {
            refuse_one(changes, change, reply->text);
        }
    }
    return told;
}

static void refuse_rest(struct relay_redis_changes *changes, size_t told, const char *why)
{
    for (; told < changes->count; told++) {
        tell(changes, changes->sent[told], STATUS_TEMPFAIL, why, 0);
    }
}

static void finish_late(struct relay_redis_changes *changes)
{
    const struct relay_redis_bulk bulk = {
        .asked = changes->asked, .window = window_seconds(changes), .now = (int64_t)time(NULL)};
    struct strbuf why;

    strbuf_init(&why);
    while (changes->late != NULL) {
        struct relay_change *change = changes->late;
        size_t removed = change->entry_count;
        size_t more = 0;

        changes->late = change->next;
        change->entry_count = 0;
        strbuf_reset(&why);
        strbuf_reset(&changes->user);
        relay_redis_request_user(&change->entry, &changes->user);
        enum status status = relay_redis_bulk_disown(&bulk, changes->user.data, &more, &why);

        removed += more;
        if (status == STATUS_OK) {
            refuse_excess(changes, change, removed);
        } else { /* to be told again: the next attempt, or another login of the user, goes on */
            relay_trouble_set(changes->trouble, RELAY_TROUBLE_CHANGES, why.data);
            (void)atomic_fetch_add(&changes->counts->removed, removed);
            tell(changes, change, STATUS_TEMPFAIL, why.data, removed);
        }
    }
    strbuf_fini(&why);
}

/* Sends what was collected, and tells all of it. */
static void flush(struct relay_redis_changes *changes)
{
    const struct relay_redis_asked *asked = changes->asked;
    int64_t deadline_ms = relay_redis_server_deadline(asked->server);
    struct relay_redis_loan loan;
    struct strbuf why;
    size_t told = 0;

    if (changes->count == 0) {
        return;
    }
    strbuf_init(&why);
    if (!relay_redis_pool_take(asked->pool, deadline_ms, &loan)) {
        char text[TEXT_SIZE];

        relay_redis_pool_text(asked->pool, text, sizeof(text));
        refuse_rest(changes, 0, *text == '\0' ? "all connections to it are in use" : text);
    } else {
        if (relay_redis_link_send(loan.link, &changes->commands, deadline_ms, &why)) {
            told = receive_all(changes, &loan, &why);
        }
        (void)atomic_fetch_add(&changes->counts->syncs, 1);
        if (why.len > 0) {
            relay_redis_pool_fail(asked->pool, &loan, why.data);
            refuse_rest(changes, told, why.data);
        } else {
            relay_redis_pool_give(asked->pool, &loan);
        }
    }
    strbuf_fini(&why);
    strbuf_reset(&changes->commands);
    changes->count = 0;
    finish_late(changes);
}

static void collect(struct relay_redis_changes *changes, struct relay_change *change)
{
    struct relay_entry entry = change->entry;
    const char *why;

    if (change->kind == RELAY_LOGIN) {
        entry.addr = relay_entry_client(&entry.addr,
                                        atomic_load(&changes->settings->ipv6_prefix_bits));
    }
    if (change->kind == RELAY_TOUCH) {
        entry.user = ""; /* stays who it is */
        entry.service = "";
    }
    if (change->kind == RELAY_REMOVE || relay_entry_is_sound(&entry, &why)) {
        relay_redis_request_write(changes->asked->server->prefix, change->kind, &entry,
                                  changes->settings, &changes->commands);
    } else {
        tell(changes, change, STATUS_INVALID, why, 0);
        return;
    }
    changes->sent[changes->count++] = change;
    if (changes->count == AT_ONCE) {
        flush(changes);
    }
}

/* ---- many entries at once ---- */

static void make_bulk_change(struct relay_redis_changes *changes, struct relay_change *change)
{
    struct relay_redis_bulk bulk = {
        .asked = changes->asked,
        .window = window_seconds(changes),
        .now = (int64_t)time(NULL),
    };
    size_t count = 0;
    enum status status = STATUS_INVALID;
    struct strbuf why;

    strbuf_init(&why);
    if (change->kind == RELAY_EXPIRE) {
        status = change->all ? relay_redis_bulk_remove_all(&bulk, &count, &why)
                             : relay_redis_bulk_expire(
                                   &bulk, bulk.now - (int64_t)change->minutes * SECONDS_OF_MINUTE,
                                   &count, &why);
    } else if (relay_settings_admit_all(changes->settings, change, &why)) {
        status = relay_redis_bulk_replace(&bulk, change->entries, change->entry_count, &why);
        count = status == STATUS_OK ? change->entry_count : 0;
    }
    if (status == STATUS_TEMPFAIL) {
        relay_trouble_set(changes->trouble, RELAY_TROUBLE_CHANGES, why.data);
    } else if (status == STATUS_OK) {
        relay_trouble_clear(changes->trouble, RELAY_TROUBLE_CHANGES);
    }
    tell(changes, change, status, why.data, count);
    strbuf_fini(&why);
}

void relay_redis_changes_take(struct relay_redis_changes *changes, struct relay_change *list)
{
    while (list != NULL) {
        struct relay_change *change = list;

        list = change->next;
        change->is_excess = false;
        change->addresses = 0;
        if (change->kind == RELAY_EXPIRE || change->kind == RELAY_REPLACE) {
            flush(changes);
            make_bulk_change(changes, change);
        } else {
            collect(changes, change);
        }
    }
    flush(changes);
}

void relay_redis_changes_refuse(struct relay_redis_changes *changes, struct relay_change *list)
{
    char why[TEXT_SIZE];

    relay_redis_pool_text(changes->asked->pool, why, sizeof(why));
    relay_batch_tell_all(changes->counts, list, why);
}
