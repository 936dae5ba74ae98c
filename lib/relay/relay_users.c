/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_users.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_entry.h"
#include "lib/table/hash64.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FIRST_SIZE 64u

struct seen {
    struct netaddr addr;
    int64_t seen_at;
    bool is_granted;
};

struct user {
    struct user *next; /* of the same bucket */
    struct user *older;
    struct user *newer;
    uint64_t hash;
    struct seen *seen;
    unsigned count;
    unsigned size;
    bool is_withdrawn;
    char name[];
};

struct relay_users {
    uint64_t seed;
    struct user **buckets;
    size_t size; /* of them: a power of two */
    size_t count;
    size_t addresses;
    struct user *oldest;
    struct user *newest;
};

/* ---- the table ---- */

static char *fold(const char *user, char folded[RELAY_USER_MAX + 1])
{
    size_t len = strnlen(user, RELAY_USER_MAX);

    for (size_t i = 0; i < len; i++) {
        folded[i] = (char)(user[i] >= 'A' && user[i] <= 'Z' ? user[i] - 'A' + 'a' : user[i]);
    }
    folded[len] = '\0';
    return folded;
}

static struct user **find_link(const struct relay_users *users, const char *name, uint64_t hash)
{
    struct user **link = &users->buckets[hash & (users->size - 1)];

    while (*link != NULL && ((*link)->hash != hash || strcmp((*link)->name, name) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static struct user *find(const struct relay_users *users, const char *name)
{
    char folded[RELAY_USER_MAX + 1];

    (void)fold(name, folded);
    return *find_link(users, folded, hash64(folded, strlen(folded), users->seed));
}

static void unlink_use(struct relay_users *users, const struct user *user)
{
    *(user->older == NULL ? &users->oldest : &user->older->newer) = user->newer;
    *(user->newer == NULL ? &users->newest : &user->newer->older) = user->older;
}

static void link_use(struct relay_users *users, struct user *user)
{
    user->newer = NULL;
    user->older = users->newest;
    *(users->newest == NULL ? &users->oldest : &users->newest->newer) = user;
    users->newest = user;
}

static void grow(struct relay_users *users)
{
    struct user **old = users->buckets;
    size_t old_size = users->size;

    users->size *= 2;
    users->buckets = xcalloc(users->size, sizeof(*users->buckets));
    for (size_t i = 0; i < old_size; i++) {
        while (old[i] != NULL) {
            struct user *user = old[i];
            struct user **bucket = &users->buckets[user->hash & (users->size - 1)];

            old[i] = user->next;
            user->next = *bucket;
            *bucket = user;
        }
    }
    free(old);
}

/* The user, who is the one that came last now. */
static struct user *use(struct relay_users *users, const char *name)
{
    char folded[RELAY_USER_MAX + 1];
    size_t len = strlen(fold(name, folded));
    uint64_t hash = hash64(folded, len, users->seed);
    struct user *user = *find_link(users, folded, hash);

    if (user != NULL) {
        unlink_use(users, user);
    } else {
        if (users->count == users->size) {
            grow(users);
        }
        struct user **link = find_link(users, folded, hash);

        user = xcalloc(1, sizeof(*user) + len + 1);
        user->hash = hash;
        memcpy(user->name, folded, len + 1);
        *link = user;
        users->count++;
    }
    link_use(users, user);
    return user;
}

static void forget(struct relay_users *users, struct user *user)
{
    *find_link(users, user->name, user->hash) = user->next;
    unlink_use(users, user);
    users->count--;
    users->addresses -= user->count;
    free(user->seen);
    free(user);
}

/* ---- the addresses of a user ---- */

static struct seen *find_seen(const struct user *user, const struct netaddr *addr)
{
    for (unsigned i = 0; i < user->count; i++) {
        if (netaddr_equal(&user->seen[i].addr, addr)) {
            return &user->seen[i];
        }
    }
    return NULL;
}

static void remove_seen(struct relay_users *users, struct user *user, unsigned at)
{
    user->seen[at] = user->seen[--user->count];
    users->addresses--;
}

static void remove_old(struct relay_users *users, struct user *user, int64_t since)
{
    for (unsigned i = user->count; i-- > 0;) {
        if (user->seen[i].seen_at <= since) {
            remove_seen(users, user, i);
        }
    }
}

/* Which is to make room: what was granted last of all, and then the oldest. */
static unsigned least(const struct user *user)
{
    unsigned least = 0;

    for (unsigned i = 1; i < user->count; i++) {
        const struct seen *a = &user->seen[i];
        const struct seen *b = &user->seen[least];

        if (a->is_granted != b->is_granted ? !a->is_granted : a->seen_at < b->seen_at) {
            least = i;
        }
    }
    return least;
}

static void add_seen(struct relay_users *users, struct user *user, const struct netaddr *addr,
                     int64_t seen_at, unsigned most)
{
    while (user->count >= most) {
        remove_seen(users, user, least(user));
    }
    if (user->count == user->size) {
        user->size = user->size == 0 ? 2 : 2 * user->size;
        user->seen = xrealloc(user->seen, user->size * sizeof(*user->seen));
    }
    user->seen[user->count++] = (struct seen){.addr = *addr, .seen_at = seen_at};
    users->addresses++;
}

/* ---- what happens ---- */

struct relay_users_seen relay_users_note(struct relay_users *users, const char *name,
                                         const struct netaddr *addr, int64_t seen_at,
                                         const struct relay_users_terms *terms)
{
    struct user *user = use(users, name);

    remove_old(users, user, terms->since);
    struct seen *seen = find_seen(user, addr);
    struct relay_users_seen result = {
        .is_new = seen == NULL && seen_at > terms->since,
        .is_granted = seen != NULL && seen->is_granted,
        .is_withdrawn = user->is_withdrawn,
    };

    if (result.is_new) {
        add_seen(users, user, addr, seen_at, terms->limit + RELAY_USERS_MORE);
    } else if (seen != NULL && seen->seen_at < seen_at) {
        seen->seen_at = seen_at;
    }
    while (users->addresses > terms->max_addresses && users->oldest != user) {
        forget(users, users->oldest);
    }
    result.count = user->count;
    return result;
}

void relay_users_touch(struct relay_users *users, const char *name, const struct netaddr *addr,
                       int64_t seen_at)
{
    const struct user *user = find(users, name);
    struct seen *seen = user == NULL ? NULL : find_seen(user, addr);

    if (seen != NULL && seen->seen_at < seen_at) {
        seen->seen_at = seen_at;
    }
}

void relay_users_grant(struct relay_users *users, const char *name, const struct netaddr *addr)
{
    struct user *user = find(users, name);
    struct seen *seen = user == NULL ? NULL : find_seen(user, addr);

    if (seen != NULL) {
        seen->is_granted = true;
        user->is_withdrawn = false;
    }
}

void relay_users_withdraw(struct relay_users *users, const char *name)
{
    struct user *user = find(users, name);

    for (unsigned i = 0; user != NULL && i < user->count; i++) {
        user->seen[i].is_granted = false;
    }
    if (user != NULL) {
        user->is_withdrawn = true;
    }
}

size_t relay_users_count(const struct relay_users *users)
{
    return users->addresses;
}

/* ---- life ---- */

struct relay_users *relay_users_new(void)
{
    struct relay_users *users = xcalloc(1, sizeof(*users));

    if (getrandom(&users->seed, sizeof(users->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(users->seed)) {
        users->seed = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)users;
    }
    users->size = FIRST_SIZE;
    users->buckets = xcalloc(users->size, sizeof(*users->buckets));
    return users;
}

void relay_users_reset(struct relay_users *users)
{
    while (users->oldest != NULL) {
        forget(users, users->oldest);
    }
}

void relay_users_free(struct relay_users **users)
{
    if (*users != NULL) {
        relay_users_reset(*users);
        free((*users)->buckets);
        free(*users);
        *users = NULL;
    }
}
