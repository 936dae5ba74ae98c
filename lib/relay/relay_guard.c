/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_guard.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_pace.h"
#include "lib/relay/relay_users.h"

#include <stdlib.h>
#include <strings.h>

#define SECONDS_OF_MINUTE 60
#define SECONDS_OF_DAY 86400 /* where entries never expire */

struct relay_guard {
    const struct relay_index *index;
    const struct relay_settings *settings;
    struct relay_users *users;
    bool is_filled; /* with what the entries say */
};

static struct relay_users_terms terms_of(const struct relay_guard *guard, int64_t now)
{
    unsigned window = atomic_load(&guard->settings->window_minutes);

    return (struct relay_users_terms){
        .limit = atomic_load(&guard->settings->addresses_per_user),
        .since = now - (window == 0 ? SECONDS_OF_DAY : (int64_t)window * SECONDS_OF_MINUTE),
        .max_addresses = atomic_load(&guard->settings->max_entries),
    };
}

/* ---- the entries that are there ---- */

struct filling {
    struct relay_guard *guard;
    struct relay_users_terms terms;
    int64_t now;
};

static int64_t seen_at(const struct relay_entry *entry, int64_t now)
{
    return entry->login_at < now ? entry->login_at : now;
}

static void learn(struct relay_users *users, const struct relay_entry *entry, int64_t now,
                  const struct relay_users_terms *terms)
{
    (void)relay_users_note(users, entry->user, &entry->addr, seen_at(entry, now), terms);
    relay_users_grant(users, entry->user, &entry->addr);
}

static void learn_entry(void *ctx, const struct relay_entry *entry)
{
    const struct filling *filling = ctx;

    if (*entry->user != '\0' && entry->login_at > filling->terms.since) {
        learn(filling->guard->users, entry, filling->now, &filling->terms);
    }
}

static void fill(struct relay_guard *guard, int64_t now)
{
    struct filling filling = {guard, terms_of(guard, now), now};
    struct relay_pace pace;
    size_t cursor = 0;

    relay_pace_init(&pace);
    while (relay_index_walk(guard->index, &cursor, learn_entry, &filling)) {
        relay_pace_step(&pace);
    }
    guard->is_filled = true;
}

void relay_guard_forget(struct relay_guard *guard)
{
    relay_users_reset(guard->users);
    guard->is_filled = false;
}

void relay_guard_tend(struct relay_guard *guard, int64_t now)
{
    bool counts = atomic_load(&guard->settings->addresses_per_user) > 0;

    if (counts && !guard->is_filled) {
        fill(guard, now);
    } else if (!counts && guard->is_filled) {
        relay_guard_forget(guard);
    }
}

/* ---- changes ---- */

/* The entry of a login as it will be; false: it will not be, or names no user. */
static bool entry_of(const struct relay_guard *guard, const struct relay_change *change,
                     struct relay_entry *entry_out)
{
    const char *why;

    *entry_out = change->entry;
    if (change->kind == RELAY_LOGIN) {
        entry_out->addr = relay_entry_client(&entry_out->addr,
                                             atomic_load(&guard->settings->ipv6_prefix_bits));
    }
    return relay_entry_is_sound(entry_out, &why) && *entry_out->user != '\0';
}

static enum relay_guard_answer judge_login(struct relay_guard *guard, struct relay_change *change,
                                           const struct relay_entry *entry, int64_t now)
{
    const struct relay_users_terms terms = terms_of(guard, now);
    enum relay_excess excess = (enum relay_excess)atomic_load(&guard->settings->addresses_exceeded);
    struct relay_users_seen seen = relay_users_note(guard->users, entry->user, &entry->addr,
                                                    seen_at(entry, now), &terms);

    if (seen.count > terms.limit) {
        change->is_excess = seen.is_new;
        change->addresses = seen.count;
    }
    if (seen.count <= terms.limit || excess == RELAY_EXCESS_LOG ||
        (excess == RELAY_EXCESS_REFUSE && seen.is_granted)) {
        relay_users_grant(guard->users, entry->user, &entry->addr);
        return RELAY_GUARD_GRANT;
    }
    return excess == RELAY_EXCESS_WITHDRAW && !seen.is_withdrawn ? RELAY_GUARD_WITHDRAW
                                                                 : RELAY_GUARD_REFUSE;
}

/* An address whose sessions are open is in use, and counts as one that logs in. */
static void touch(struct relay_guard *guard, const struct relay_change *change, int64_t now)
{
    struct relay_found found;

    if (relay_index_get(guard->index, &change->entry.addr, &found) && found.user[0] != '\0') {
        relay_users_touch(guard->users, found.user, &found.addr, seen_at(&change->entry, now));
    }
}

enum relay_guard_answer relay_guard_judge(struct relay_guard *guard, struct relay_change *change,
                                          int64_t now)
{
    struct relay_entry entry;

    change->is_excess = false;
    change->addresses = 0;
    if (!guard->is_filled) {
        return RELAY_GUARD_GRANT;
    }
    if (change->kind == RELAY_TOUCH) {
        touch(guard, change, now);
    }
    if ((change->kind != RELAY_LOGIN && change->kind != RELAY_MERGE) ||
        !entry_of(guard, change, &entry)) {
        return RELAY_GUARD_GRANT;
    }
    if (change->kind == RELAY_LOGIN) {
        return judge_login(guard, change, &entry, now);
    }
    const struct relay_users_terms terms = terms_of(guard, now);

    learn(guard->users, &entry, now, &terms);
    return RELAY_GUARD_GRANT;
}

void relay_guard_explain(const struct relay_guard *guard, struct strbuf *why)
{
    strbuf_appendf(why,
                   "the user has come from more than %u addresses (relay_store: "
                   "addresses_per_user)",
                   atomic_load(&guard->settings->addresses_per_user));
}

/* ---- taking away ---- */

struct listing {
    const char *user;
    struct netaddr *list;
    size_t count;
    size_t size;
};

static void list_entry(void *ctx, const struct relay_entry *entry)
{
    struct listing *listing = ctx;

    if (strcasecmp(entry->user, listing->user) != 0) {
        return;
    }
    if (listing->count == listing->size) {
        listing->size = 2 * listing->size + 8;
        listing->list = xrealloc(listing->list, listing->size * sizeof(*listing->list));
    }
    listing->list[listing->count++] = entry->addr;
}

size_t relay_guard_list(const struct relay_guard *guard, const struct relay_change *change,
                        struct netaddr **list_out)
{
    struct listing listing = {.user = change->entry.user};
    size_t cursor = 0;

    while (relay_index_walk(guard->index, &cursor, list_entry, &listing)) {
    }
    *list_out = listing.list;
    return listing.count;
}

void relay_guard_withdrawn(struct relay_guard *guard, struct relay_change *change, size_t count)
{
    change->is_excess = change->is_excess || count > 0;
    relay_users_withdraw(guard->users, change->entry.user);
}

/* ---- life ---- */

struct relay_guard *relay_guard_new(const struct relay_index *index,
                                    const struct relay_settings *settings)
{
    struct relay_guard *guard = xcalloc(1, sizeof(*guard));

    guard->index = index;
    guard->settings = settings;
    guard->users = relay_users_new();
    return guard;
}

void relay_guard_free(struct relay_guard **guard)
{
    if (*guard != NULL) {
        relay_users_free(&(*guard)->users);
        free(*guard);
        *guard = NULL;
    }
}
