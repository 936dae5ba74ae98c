/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_summary.h"
#include "lib/base/arena.h"
#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_SLOTS 1024u

struct user {
    const char *name;
    size_t addresses;
};

struct reader {
    struct relay_summary *summary;
    int64_t now;
    unsigned window_minutes;
    struct strbuf names; /* of the step of the walk: each with its NUL byte */
    struct arena *arena;
    struct user *slots; /* by the hash of the folded name; a quarter is free */
    size_t slot_count;  /* a power of two */
};

/* ---- entries: the store waits meanwhile ---- */

static void note_date(struct relay_summary *summary, int64_t login_at)
{
    if (summary->in_force == 1 || login_at < summary->oldest) {
        summary->oldest = login_at;
    }
    if (summary->in_force == 1 || login_at > summary->newest) {
        summary->newest = login_at;
    }
}

static void visit(void *ctx, const struct relay_entry *entry)
{
    struct reader *reader = ctx;
    struct relay_summary *summary = reader->summary;

    if (entry->login_at > reader->now) {
        summary->in_future++;
    } else if (relay_entry_permits(entry, reader->now, reader->window_minutes)) {
        summary->in_force++;
        note_date(summary, entry->login_at);
    } else {
        summary->expired++;
        return;
    }
    if (*entry->user == '\0') {
        summary->nameless++;
    } else {
        strbuf_append_len(&reader->names, entry->user, strlen(entry->user) + 1);
    }
}

/* ---- users ---- */

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static uint64_t hash_of(const char *name, size_t len)
{
    char folded[RELAY_USER_MAX];

    for (size_t i = 0; i < len; i++) {
        folded[i] = fold(name[i]);
    }
    return hash64(folded, len, 0);
}

static bool is_same(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return fold(*a) == fold(*b);
}

/* The slot of the user, or the free one where he would be. */
static struct user *find_slot(const struct reader *reader, const char *name, size_t len)
{
    size_t mask = reader->slot_count - 1;
    size_t slot = (size_t)hash_of(name, len) & mask;

    while (reader->slots[slot].name != NULL && !is_same(reader->slots[slot].name, name)) {
        slot = (slot + 1) & mask;
    }
    return &reader->slots[slot];
}

static void grow(struct reader *reader)
{
    struct user *old = reader->slots;
    size_t old_count = reader->slot_count;

    if (reader->summary->users < old_count / 4 * 3) {
        return;
    }
    reader->slot_count = old_count * 2;
    reader->slots = xcalloc(reader->slot_count, sizeof(reader->slots[0]));
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].name != NULL) {
            *find_slot(reader, old[i].name, strlen(old[i].name)) = old[i];
        }
    }
    free(old);
}

static void count_names(struct reader *reader)
{
    const char *end = reader->names.data + reader->names.len;
    size_t len;

    for (const char *name = reader->names.data; name < end; name += len + 1) {
        len = strlen(name);
        struct user *user = find_slot(reader, name, len);

        user->addresses++;
        if (user->name == NULL) {
            user->name = arena_strndup(reader->arena, name, len);
            reader->summary->users++;
            grow(reader);
        }
    }
    strbuf_reset(&reader->names);
}

/* More addresses first; then by name, so that the same store is always told in the same way. */
static bool comes_before(const struct user *user, const struct relay_summary_user *other)
{
    return user->addresses > other->addresses ||
           (user->addresses == other->addresses && strcasecmp(user->name, other->user) < 0);
}

static void place(struct relay_summary *summary, const struct user *user)
{
    size_t at = summary->top_count;

    while (at > 0 && comes_before(user, &summary->top[at - 1])) {
        at--;
    }
    if (at == RELAY_SUMMARY_USERS) {
        return;
    }
    if (summary->top_count < RELAY_SUMMARY_USERS) {
        summary->top_count++;
    }
    (void)memmove(&summary->top[at + 1], &summary->top[at],
                  (summary->top_count - 1 - at) * sizeof(summary->top[0]));
    (void)memcpy(summary->top[at].user, user->name, strlen(user->name) + 1);
    summary->top[at].addresses = user->addresses;
}

bool relay_summary_read(struct relay_summary *summary_out, const struct relay_store *store,
                        int64_t now, unsigned window_minutes)
{
    struct reader reader = {
        .summary = summary_out,
        .now = now,
        .window_minutes = window_minutes,
        .arena = arena_new(),
        .slots = xcalloc(FIRST_SLOTS, sizeof(struct user)),
        .slot_count = FIRST_SLOTS,
    };
    size_t cursor = 0;
    bool more = true;

    *summary_out = (struct relay_summary){0};
    strbuf_init(&reader.names);
    while (more) {
        more = relay_store_walk(store, &cursor, visit, &reader);
        count_names(&reader);
    }
    for (size_t i = 0; i < reader.slot_count; i++) {
        if (reader.slots[i].name != NULL) {
            place(summary_out, &reader.slots[i]);
        }
    }
    strbuf_fini(&reader.names);
    arena_free(&reader.arena);
    free(reader.slots);
    return cursor != RELAY_WALK_FAILED;
}
