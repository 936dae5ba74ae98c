/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_batch.h"

#include "lib/base/arena.h"
#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>

#define WHY_MAX 160u
#define SECONDS_OF_MINUTE 60
#define SEEN_BITS 16384u

/* A change and what becomes of it. */
struct item {
    struct relay_change *change;
    struct relay_journal_line line;
    bool has_line; /* else it is decided */
    enum status status;
    char why[WHY_MAX];
};

struct relay_batch {
    struct relay_index *index;
    struct relay_counts *counts;
    struct item items[RELAY_BATCH_MAX];
    size_t count;
    struct strbuf lines;
    size_t added;        /* entries at most that will be there besides */
    bool is_mixed;       /* holds more than logins: what is in memory says little of what will be */
    bool expires;        /* holds RELAY_EXPIRE */
    struct arena *texts; /* of the entries that are touched */
    uint8_t seen[SEEN_BITS / 8]; /* by hash: addresses that have lines */
};

struct relay_batch *relay_batch_new(struct relay_index *index, struct relay_counts *counts)
{
    struct relay_batch *batch = xcalloc(1, sizeof(*batch));

    batch->index = index;
    batch->counts = counts;
    batch->texts = arena_new();
    strbuf_init(&batch->lines);
    return batch;
}

void relay_batch_free(struct relay_batch **batch)
{
    if (*batch != NULL) {
        strbuf_fini(&(*batch)->lines);
        arena_free(&(*batch)->texts);
        free(*batch);
        *batch = NULL;
    }
}

/* ---- filling ---- */

static struct item *new_item(struct relay_batch *batch, struct relay_change *change)
{
    struct item *item = &batch->items[batch->count++];

    item->change = change;
    item->has_line = false;
    item->status = STATUS_OK;
    item->why[0] = '\0';
    return item;
}

void relay_batch_refuse(struct relay_batch *batch, struct relay_change *change, enum status status,
                        const char *why)
{
    struct item *item = new_item(batch, change);
    size_t len = strnlen(why, sizeof(item->why) - 1);

    item->status = status;
    memcpy(item->why, why, len);
    item->why[len] = '\0';
}

static unsigned seen_bit(const struct netaddr *addr)
{
    return (unsigned)(hash64(addr->bytes, sizeof(addr->bytes), addr->bits) % SEEN_BITS);
}

static void take_line(struct relay_batch *batch, struct relay_change *change,
                      const struct relay_journal_line *line)
{
    struct item *item = new_item(batch, change);

    if (line->op == RELAY_JOURNAL_EXPIRE) {
        batch->expires = true;
    } else {
        unsigned bit = seen_bit(&line->entry.addr);

        batch->seen[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    item->has_line = true;
    item->line = *line;
    relay_journal_format(line, &batch->lines);
}

/* What is present is on the disk already. */
static bool says_nothing_new(enum relay_change_kind kind, const struct relay_entry *entry,
                             const struct relay_found *present)
{
    if (kind == RELAY_MERGE) {
        return present->login_at >= entry->login_at;
    }
    if (kind != RELAY_LOGIN) {
        return false;
    }
    return present->login_at > entry->login_at ||
           (present->login_at == entry->login_at && strcmp(present->user, entry->user) == 0 &&
            strcmp(present->service, entry->service) == 0);
}

static enum relay_batch_result add_entry(struct relay_batch *batch, struct relay_change *change,
                                         const struct relay_limits *limits)
{
    struct relay_journal_line line = {
        .op = change->kind == RELAY_ADD ? RELAY_JOURNAL_ADD : RELAY_JOURNAL_LOGIN,
        .entry = change->entry,
    };
    struct relay_found present;
    const char *why;

    if (change->kind == RELAY_LOGIN) {
        line.entry.addr = relay_entry_client(&line.entry.addr, limits->ipv6_prefix_bits);
    }
    if (!relay_entry_is_sound(&line.entry, &why)) {
        relay_batch_refuse(batch, change, STATUS_INVALID, why);
        return RELAY_BATCH_TAKEN;
    }
    if (relay_index_get(batch->index, &line.entry.addr, &present)) {
        if (!batch->is_mixed && says_nothing_new(change->kind, &line.entry, &present)) {
            (void)new_item(batch, change);
            return RELAY_BATCH_TAKEN;
        }
    } else {
        if (relay_index_count(batch->index) + batch->added >= limits->max_entries) {
            /* Some of those that are added may be the same. */
            return batch->count > 0 ? RELAY_BATCH_COMMIT_FIRST : RELAY_BATCH_NO_ROOM;
        }
        batch->added++;
    }
    batch->is_mixed = batch->is_mixed || change->kind == RELAY_ADD;
    take_line(batch, change, &line);
    return RELAY_BATCH_TAKEN;
}

static void add_remove(struct relay_batch *batch, struct relay_change *change)
{
    struct relay_journal_line line = {.op = RELAY_JOURNAL_REMOVE, .entry = change->entry};
    struct relay_found present;

    line.entry.user = "";
    line.entry.service = "";
    if (batch->count == 0 && !relay_index_get(batch->index, &line.entry.addr, &present)) {
        relay_batch_refuse(batch, change, STATUS_NOTFOUND, "there is no such entry");
        return;
    }
    batch->is_mixed = true;
    take_line(batch, change, &line);
}

static void add_expire(struct relay_batch *batch, struct relay_change *change, int64_t now)
{
    struct relay_journal_line line = {
        .op = RELAY_JOURNAL_EXPIRE,
        .until = change->all ? RELAY_JOURNAL_ALL
                             : now - (int64_t)change->minutes * SECONDS_OF_MINUTE,
    };

    if (batch->count == 0 && relay_index_count_until(batch->index, line.until) == 0) {
        (void)new_item(batch, change);
        return;
    }
    batch->is_mixed = true;
    take_line(batch, change, &line);
}

/* May what is in the batch change the entry? */
static bool is_pending(const struct relay_batch *batch, const struct netaddr *addr)
{
    unsigned bit = seen_bit(addr);

    return batch->expires || (batch->seen[bit / 8] & 1u << bit % 8) != 0;
}

/* What the line makes of the entry of `addr`; returns whether there is one then. */
static bool follow_line(const struct relay_journal_line *line, const struct netaddr *addr,
                        bool is_there, struct relay_found *state)
{
    if (line->op == RELAY_JOURNAL_EXPIRE) {
        return is_there && state->login_at > line->until;
    }
    if (!netaddr_equal(&line->entry.addr, addr)) {
        return is_there;
    }
    if (line->op == RELAY_JOURNAL_REMOVE) {
        return false;
    }
    if (line->op == RELAY_JOURNAL_ADD || !is_there || state->login_at <= line->entry.login_at) {
        state->login_at = line->entry.login_at;
        /* They fit: lines are made of sound entries. */
        memcpy(state->user, line->entry.user, strlen(line->entry.user) + 1);
        memcpy(state->service, line->entry.service, strlen(line->entry.service) + 1);
    }
    return true;
}

/* The entry of `addr` as the batch will leave it; false: there will be none. */
static bool foresee(const struct relay_batch *batch, const struct netaddr *addr,
                    struct relay_found *state_out)
{
    bool is_there = relay_index_get(batch->index, addr, state_out);

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->items[i].has_line) {
            is_there = follow_line(&batch->items[i].line, addr, is_there, state_out);
        }
    }
    return is_there;
}

/* The entry as it is, with a date that is never earlier than before. */
static enum relay_batch_result add_touch(struct relay_batch *batch, struct relay_change *change)
{
    struct relay_journal_line line = {.op = RELAY_JOURNAL_LOGIN, .entry = change->entry};
    bool pending = is_pending(batch, &change->entry.addr);
    struct relay_found state;
    const char *why;

    line.entry.user = "";
    line.entry.service = "";
    if (!relay_entry_is_sound(&line.entry, &why)) {
        relay_batch_refuse(batch, change, STATUS_INVALID, why);
        return RELAY_BATCH_TAKEN;
    }
    bool is_there = pending ? foresee(batch, &change->entry.addr, &state)
                            : relay_index_get(batch->index, &change->entry.addr, &state);

    if (!is_there) {
        if (pending) {
            return RELAY_BATCH_COMMIT_FIRST; /* what takes it away may still fail */
        }
        relay_batch_refuse(batch, change, STATUS_NOTFOUND, "there is no such entry");
        return RELAY_BATCH_TAKEN;
    }
    if (state.login_at >= line.entry.login_at) {
        if (!pending) {
            (void)new_item(batch, change); /* it is on the disk already */
            return RELAY_BATCH_TAKEN;
        }
        line.entry.login_at = state.login_at;
    }
    line.entry.user = arena_strdup(batch->texts, state.user);
    line.entry.service = arena_strdup(batch->texts, state.service);
    take_line(batch, change, &line);
    return RELAY_BATCH_TAKEN;
}

enum relay_batch_result relay_batch_add(struct relay_batch *batch, struct relay_change *change,
                                        const struct relay_limits *limits)
{
    if (batch->count == RELAY_BATCH_MAX) {
        return RELAY_BATCH_COMMIT_FIRST;
    }
    switch (change->kind) {
    case RELAY_LOGIN:
    case RELAY_ADD:
    case RELAY_MERGE:
        return add_entry(batch, change, limits);
    case RELAY_TOUCH:
        return add_touch(batch, change);
    case RELAY_REMOVE:
        add_remove(batch, change);
        break;
    case RELAY_EXPIRE:
        add_expire(batch, change, limits->now);
        break;
    case RELAY_REPLACE:
        break;
    }
    return RELAY_BATCH_TAKEN;
}

bool relay_batch_is_empty(const struct relay_batch *batch)
{
    return batch->count == 0;
}

const struct strbuf *relay_batch_lines(const struct relay_batch *batch)
{
    return &batch->lines;
}

/* ---- the end of a batch ---- */

static void count_change(struct relay_counts *counts, const struct relay_change *change,
                         enum status status, size_t count)
{
    switch (change->kind) {
    case RELAY_LOGIN:
    case RELAY_ADD:
        (void)atomic_fetch_add(status == STATUS_OK ? &counts->granted : &counts->refused, 1);
        break;
    case RELAY_MERGE:
        (void)atomic_fetch_add(status == STATUS_OK ? &counts->granted : &counts->refused,
                               status == STATUS_OK ? count : 1);
        break;
    case RELAY_REMOVE:
        (void)atomic_fetch_add(&counts->removed, count);
        break;
    case RELAY_EXPIRE:
        (void)atomic_fetch_add(&counts->expired, count);
        break;
    case RELAY_TOUCH:
    case RELAY_REPLACE:
        break;
    }
}

void relay_batch_tell(struct relay_counts *counts, struct relay_change *change, enum status status,
                      const char *why, size_t count)
{
    count_change(counts, change, status, count);
    change->done(change, status, why, count);
}

void relay_batch_tell_all(struct relay_counts *counts, struct relay_change *changes,
                          const char *why)
{
    while (changes != NULL) {
        struct relay_change *change = changes;

        changes = change->next; /* who is told may free it */
        relay_batch_tell(counts, change, STATUS_TEMPFAIL, why, 0);
    }
}

void relay_batch_stats(const struct relay_counts *counts, struct relay_store_stats *stats_out)
{
    *stats_out = (struct relay_store_stats){
        .granted = atomic_load(&counts->granted),
        .refused = atomic_load(&counts->refused),
        .removed = atomic_load(&counts->removed),
        .expired = atomic_load(&counts->expired),
        .found = atomic_load(&counts->found),
        .asked = atomic_load(&counts->asked),
        .syncs = atomic_load(&counts->syncs),
    };
}

/* Returns how many entries it has removed, or merged. */
static size_t apply_line(struct relay_batch *batch, const struct item *item)
{
    struct relay_found present;

    if (item->change->kind == RELAY_MERGE &&
        relay_index_get(batch->index, &item->line.entry.addr, &present) &&
        present.login_at > item->line.entry.login_at) {
        return 0; /* came in the same batch, and stays: the journal is read so, too */
    }
    size_t count = relay_journal_apply(&item->line, batch->index);

    return item->change->kind == RELAY_MERGE ? 1 : count;
}

static void finish_item(struct relay_batch *batch, const struct item *item, const char *failure)
{
    size_t count = 0;

    if (!item->has_line) {
        relay_batch_tell(batch->counts, item->change, item->status, item->why, 0);
    } else if (failure != NULL) {
        relay_batch_tell(batch->counts, item->change, STATUS_TEMPFAIL, failure, 0);
    } else {
        count = apply_line(batch, item);
        if (item->line.op == RELAY_JOURNAL_REMOVE && count == 0) {
            relay_batch_tell(batch->counts, item->change, STATUS_NOTFOUND, "there is no such entry",
                             0);
        } else {
            relay_batch_tell(batch->counts, item->change, STATUS_OK, "", count);
        }
    }
}

void relay_batch_finish(struct relay_batch *batch, const char *failure)
{
    for (size_t i = 0; i < batch->count; i++) {
        finish_item(batch, &batch->items[i], failure);
    }
    batch->count = 0;
    batch->added = 0;
    batch->is_mixed = false;
    batch->expires = false;
    memset(batch->seen, 0, sizeof(batch->seen));
    arena_reset(batch->texts);
    strbuf_reset(&batch->lines);
}
