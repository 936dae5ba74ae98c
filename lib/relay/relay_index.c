/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_index.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SHARD_BITS 10u
#define SHARDS (1u << SHARD_BITS)
#define FIRST_CAPACITY 4u
#define SIDES 2u /* one is in force, the other is empty or being filled to replace it */
#define LENGTHS 129u

/* One place; free if the family is NETADDR_NONE. */
struct slot {
    int64_t login_at;
    char *texts;  /* user and service, a NUL byte behind each; NULL: both are unknown */
    uint32_t tag; /* of the address's hash: where its place would be if all were free */
    uint8_t family;
    uint8_t bits;
    uint8_t bytes[16];
};

struct slots {
    struct slot *at;
    uint32_t capacity;
    uint32_t count;
};

struct shard {
    pthread_mutex_t lock;
    struct slots sides[SIDES];
};

struct relay_index {
    struct shard shards[SHARDS];
    uint64_t seed;
    atomic_uint generation; /* its lowest bit is the side in force */
    atomic_size_t counts[SIDES];
    atomic_size_t lengths[SIDES][LENGTHS]; /* IPv6 entries of each prefix length */
};

/* Where an address belongs. */
struct place {
    struct shard *shard;
    uint32_t tag;
};

static struct place place_of(const struct relay_index *index, const struct netaddr *addr)
{
    unsigned char key[sizeof(addr->bytes) + 2];

    memcpy(key, addr->bytes, sizeof(addr->bytes));
    key[sizeof(addr->bytes)] = addr->bits;
    key[sizeof(addr->bytes) + 1] = (unsigned char)addr->family;

    uint64_t hash = hash64(key, sizeof(key), index->seed);
    /* The locks change while questions are asked; what is asked does not. */
    struct relay_index *own = (struct relay_index *)(uintptr_t)index;

    return (struct place){&own->shards[hash >> (64 - SHARD_BITS)], (uint32_t)hash};
}

static unsigned side_in_force(const struct relay_index *index)
{
    return atomic_load(&index->generation) % SIDES;
}

/* ---- the places of one part; its lock is held ---- */

static uint32_t home_of(const struct slots *slots, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * slots->capacity >> 32);
}

static uint32_t next_of(const struct slots *slots, uint32_t at)
{
    return at + 1 == slots->capacity ? 0 : at + 1;
}

static bool holds(const struct slot *slot, uint32_t tag, const struct netaddr *addr)
{
    return slot->tag == tag && slot->bits == addr->bits && slot->family == addr->family &&
           memcmp(slot->bytes, addr->bytes, sizeof(slot->bytes)) == 0;
}

/* The place of the address; NULL if it is not there. */
static struct slot *search(const struct slots *slots, uint32_t tag, const struct netaddr *addr)
{
    if (slots->count == 0) {
        return NULL;
    }
    for (uint32_t at = home_of(slots, tag);; at = next_of(slots, at)) {
        struct slot *slot = &slots->at[at];

        if (slot->family == NETADDR_NONE) {
            return NULL;
        }
        if (holds(slot, tag, addr)) {
            return slot;
        }
    }
}

/* Puts what is not there yet into the first free place; there is one. */
static struct slot *occupy(struct slots *slots, const struct slot *slot)
{
    uint32_t at = home_of(slots, slot->tag);

    while (slots->at[at].family != NETADDR_NONE) {
        at = next_of(slots, at);
    }
    slots->at[at] = *slot;
    slots->count++;
    return &slots->at[at];
}

/* Makes room for one more: a part holds about a thousandth of all, so this takes microseconds. */
static void reserve(struct slots *slots)
{
    if (slots->count < slots->capacity - slots->capacity / 4) {
        return;
    }
    struct slots grown = {
        .capacity = slots->capacity == 0 ? FIRST_CAPACITY : slots->capacity + slots->capacity / 2,
    };

    grown.at = xcalloc(grown.capacity, sizeof(*grown.at));
    for (uint32_t i = 0; i < slots->capacity; i++) {
        if (slots->at[i].family != NETADDR_NONE) {
            (void)occupy(&grown, &slots->at[i]);
        }
    }
    free(slots->at);
    *slots = grown;
}

/* Empties a place and moves those behind it that would not be found any more. */
static void vacate(struct slots *slots, struct slot *slot)
{
    uint32_t hole = (uint32_t)(slot - slots->at);

    free(slot->texts);
    for (uint32_t at = next_of(slots, hole); slots->at[at].family != NETADDR_NONE;
         at = next_of(slots, at)) {
        uint32_t home = home_of(slots, slots->at[at].tag);
        /* Does it lie behind the hole, seen from its home? */
        bool behind = hole <= at ? home <= hole || home > at : home <= hole && home > at;

        if (behind) {
            slots->at[hole] = slots->at[at];
            hole = at;
        }
    }
    slots->at[hole] = (struct slot){0};
    slots->count--;
}

static void forget(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->capacity; i++) {
        free(slots->at[i].texts);
    }
    free(slots->at);
    *slots = (struct slots){0};
}

/* ---- entries ---- */

static char *join_texts(const struct relay_entry *entry)
{
    size_t user = strlen(entry->user) + 1;
    size_t service = strlen(entry->service) + 1;

    if (user + service == 2) {
        return NULL;
    }
    char *texts = xmalloc(user + service);

    memcpy(texts, entry->user, user);
    memcpy(texts + user, entry->service, service);
    return texts;
}

static const char *user_of(const struct slot *slot)
{
    return slot->texts == NULL ? "" : slot->texts;
}

static const char *service_of(const struct slot *slot)
{
    return slot->texts == NULL ? "" : slot->texts + strlen(slot->texts) + 1;
}

static struct netaddr addr_of(const struct slot *slot)
{
    struct netaddr addr = {.family = (enum netaddr_family)slot->family, .bits = slot->bits};

    memcpy(addr.bytes, slot->bytes, sizeof(addr.bytes));
    return addr;
}

static void copy_out(const struct slot *slot, struct relay_found *found_out)
{
    if (found_out == NULL) {
        return;
    }
    found_out->addr = addr_of(slot);
    found_out->login_at = slot->login_at;
    /* They fit: only sound entries come in. */
    memcpy(found_out->user, user_of(slot), strlen(user_of(slot)) + 1);
    memcpy(found_out->service, service_of(slot), strlen(service_of(slot)) + 1);
}

static void count_change(struct relay_index *index, unsigned side, const struct slot *slot,
                         size_t change)
{
    (void)atomic_fetch_add(&index->counts[side], change);
    if (slot->family == NETADDR_IPV6) {
        (void)atomic_fetch_add(&index->lengths[side][slot->bits], change);
    }
}

/* ---- questions ---- */

/* One address or network; with `window_minutes` it must permit. */
static bool look(const struct relay_index *index, unsigned side, const struct netaddr *addr,
                 int64_t now, const unsigned *window_minutes, struct relay_found *found_out)
{
    struct place place = place_of(index, addr);

    (void)pthread_mutex_lock(&place.shard->lock);
    const struct slot *slot = search(&place.shard->sides[side], place.tag, addr);
    struct relay_entry entry = {.login_at = slot == NULL ? 0 : slot->login_at};
    bool found = slot != NULL &&
                 (window_minutes == NULL || relay_entry_permits(&entry, now, *window_minutes));

    if (found) {
        copy_out(slot, found_out);
    }
    (void)pthread_mutex_unlock(&place.shard->lock);
    return found;
}

/* The longest prefix of the client that permits, among the entries of one side. */
static bool look_in_side(const struct relay_index *index, unsigned side,
                         const struct netaddr *client, int64_t now, unsigned window_minutes,
                         struct relay_found *found_out)
{
    if (client->family != NETADDR_IPV6) {
        return look(index, side, client, now, &window_minutes, found_out);
    }
    for (unsigned bits = client->bits; bits >= RELAY_MIN_PREFIX; bits--) {
        if (atomic_load(&index->lengths[side][bits]) == 0) {
            continue;
        }
        struct netaddr network = netaddr_masked(client, bits);

        if (look(index, side, &network, now, &window_minutes, found_out)) {
            return true;
        }
    }
    return false;
}

bool relay_index_find(const struct relay_index *index, const struct netaddr *client, int64_t now,
                      unsigned window_minutes, struct relay_found *found_out)
{
    if (client->family == NETADDR_NONE || client->bits > netaddr_width(client->family)) {
        return false;
    }
    for (;;) {
        unsigned generation = atomic_load(&index->generation);

        if (look_in_side(index, generation % SIDES, client, now, window_minutes, found_out)) {
            return true;
        }
        /* Was that side replaced, and so emptied, meanwhile? */
        if (atomic_load(&index->generation) == generation) {
            return false;
        }
    }
}

bool relay_index_get(const struct relay_index *index, const struct netaddr *addr,
                     struct relay_found *found_out)
{
    for (;;) {
        unsigned generation = atomic_load(&index->generation);

        if (look(index, generation % SIDES, addr, 0, NULL, found_out)) {
            return true;
        }
        if (atomic_load(&index->generation) == generation) {
            return false;
        }
    }
}

size_t relay_index_count(const struct relay_index *index)
{
    return atomic_load(&index->counts[side_in_force(index)]);
}

/* A copy of one side of a part, texts behind each other in `texts`; returns how many. The slots' `texts` are not to be used. */
static size_t copy_side(struct shard *shard, unsigned side, struct slot **copies_out,
                        struct strbuf *texts)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&shard->lock);
    const struct slots *slots = &shard->sides[side];
    struct slot *copies = slots->count == 0 ? NULL : xmalloc(slots->count * sizeof(*copies));

    for (uint32_t i = 0; i < slots->capacity; i++) {
        const struct slot *slot = &slots->at[i];

        if (slot->family == NETADDR_NONE) {
            continue;
        }
        copies[count++] = *slot;
        strbuf_append_len(texts, user_of(slot), strlen(user_of(slot)) + 1);
        strbuf_append_len(texts, service_of(slot), strlen(service_of(slot)) + 1);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    *copies_out = copies;
    return count;
}

/* The same of the side in force. */
static size_t copy_part(const struct relay_index *index, struct shard *shard,
                        struct slot **copies_out, struct strbuf *texts)
{
    for (;;) {
        unsigned generation = atomic_load(&index->generation);
        size_t count = copy_side(shard, generation % SIDES, copies_out, texts);

        if (atomic_load(&index->generation) == generation) {
            return count;
        }
        free(*copies_out);
        strbuf_reset(texts);
    }
}

bool relay_index_walk(const struct relay_index *index, size_t *cursor, relay_store_visit *visit,
                      void *ctx)
{
    struct relay_index *own = (struct relay_index *)(uintptr_t)index;
    struct strbuf texts;
    size_t count = 0;

    strbuf_init(&texts);
    while (count == 0 && *cursor < SHARDS) {
        struct slot *copies;

        count = copy_part(index, &own->shards[*cursor], &copies, &texts);
        (*cursor)++;

        const char *at = texts.data;

        for (size_t i = 0; i < count; i++) {
            struct relay_entry entry = {.addr = addr_of(&copies[i]),
                                        .login_at = copies[i].login_at};

            entry.user = at;
            at += strlen(at) + 1;
            entry.service = at;
            at += strlen(at) + 1;
            visit(ctx, &entry);
        }
        free(copies);
    }
    strbuf_fini(&texts);
    return count > 0;
}

size_t relay_index_count_until(const struct relay_index *index, int64_t until)
{
    struct relay_index *own = (struct relay_index *)(uintptr_t)index;
    unsigned side = side_in_force(index);
    size_t count = 0;

    for (unsigned part = 0; part < SHARDS; part++) {
        struct shard *shard = &own->shards[part];

        (void)pthread_mutex_lock(&shard->lock);
        const struct slots *slots = &shard->sides[side];

        for (uint32_t i = 0; i < slots->capacity; i++) {
            count += slots->at[i].family != NETADDR_NONE && slots->at[i].login_at <= until;
        }
        (void)pthread_mutex_unlock(&shard->lock);
    }
    return count;
}

/* ---- changes ---- */

static void put(struct relay_index *index, unsigned side, const struct relay_entry *entry,
                bool younger_only)
{
    struct place place = place_of(index, &entry->addr);
    struct slots *slots = &place.shard->sides[side];
    char *texts = join_texts(entry);
    struct slot fresh = {.login_at = entry->login_at,
                         .texts = texts,
                         .tag = place.tag,
                         .family = (uint8_t)entry->addr.family,
                         .bits = entry->addr.bits};

    memcpy(fresh.bytes, entry->addr.bytes, sizeof(fresh.bytes));
    (void)pthread_mutex_lock(&place.shard->lock);
    struct slot *slot = search(slots, place.tag, &entry->addr);

    if (slot == NULL) {
        reserve(slots);
        (void)occupy(slots, &fresh);
        count_change(index, side, &fresh, 1);
        texts = NULL;
    } else if (!younger_only || slot->login_at <= entry->login_at) {
        texts = slot->texts;
        slot->texts = fresh.texts;
        slot->login_at = entry->login_at;
    }
    (void)pthread_mutex_unlock(&place.shard->lock);
    free(texts);
}

void relay_index_put(struct relay_index *index, const struct relay_entry *entry, bool younger_only)
{
    put(index, side_in_force(index), entry, younger_only);
}

bool relay_index_remove(struct relay_index *index, const struct netaddr *addr)
{
    unsigned side = side_in_force(index);
    struct place place = place_of(index, addr);
    struct slots *slots = &place.shard->sides[side];

    (void)pthread_mutex_lock(&place.shard->lock);
    struct slot *slot = search(slots, place.tag, addr);

    if (slot != NULL) {
        count_change(index, side, slot, SIZE_MAX);
        vacate(slots, slot);
    }
    (void)pthread_mutex_unlock(&place.shard->lock);
    return slot != NULL;
}

/* Throws the old ones of one part out: keeps the others in a new table, so that its size fits again. */
static size_t expire_part(struct relay_index *index, unsigned side, struct slots *slots,
                          int64_t until)
{
    size_t removed = 0;

    for (uint32_t i = 0; i < slots->capacity; i++) {
        removed += slots->at[i].family != NETADDR_NONE && slots->at[i].login_at <= until;
    }
    if (removed == 0) {
        return 0;
    }
    struct slots kept = {.capacity = (uint32_t)((slots->count - removed) * 3 / 2) + FIRST_CAPACITY};

    kept.at = xcalloc(kept.capacity, sizeof(*kept.at));
    for (uint32_t i = 0; i < slots->capacity; i++) {
        struct slot *slot = &slots->at[i];

        if (slot->family == NETADDR_NONE) {
            continue;
        }
        if (slot->login_at <= until) {
            count_change(index, side, slot, SIZE_MAX);
            free(slot->texts);
        } else {
            (void)occupy(&kept, slot);
        }
    }
    free(slots->at);
    *slots = kept;
    return removed;
}

size_t relay_index_expire(struct relay_index *index, int64_t until)
{
    unsigned side = side_in_force(index);
    size_t removed = 0;

    for (unsigned part = 0; part < SHARDS; part++) {
        struct shard *shard = &index->shards[part];

        (void)pthread_mutex_lock(&shard->lock);
        removed += expire_part(index, side, &shard->sides[side], until);
        (void)pthread_mutex_unlock(&shard->lock);
    }
    return removed;
}

/* ---- replacing all ---- */

static void empty_side(struct relay_index *index, unsigned side)
{
    for (unsigned part = 0; part < SHARDS; part++) {
        struct slots old;

        (void)pthread_mutex_lock(&index->shards[part].lock);
        old = index->shards[part].sides[side];
        index->shards[part].sides[side] = (struct slots){0};
        (void)pthread_mutex_unlock(&index->shards[part].lock);
        forget(&old);
    }
    atomic_store(&index->counts[side], 0);
    for (unsigned bits = 0; bits < LENGTHS; bits++) {
        atomic_store(&index->lengths[side][bits], 0);
    }
}

void relay_index_stage(struct relay_index *index, const struct relay_entry *entry)
{
    put(index, 1 - side_in_force(index), entry, false);
}

size_t relay_index_swap(struct relay_index *index)
{
    unsigned old = atomic_fetch_add(&index->generation, 1) % SIDES;

    empty_side(index, old);
    return relay_index_count(index);
}

void relay_index_unstage(struct relay_index *index)
{
    empty_side(index, 1 - side_in_force(index));
}

/* ---- life ---- */

struct relay_index *relay_index_new(void)
{
    struct relay_index *index = xcalloc(1, sizeof(*index));

    /* Who may log in from many addresses must not be able to choose those that meet in one place. */
    if (getrandom(&index->seed, sizeof(index->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(index->seed)) {
        index->seed = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)index;
    }
    for (unsigned part = 0; part < SHARDS; part++) {
        (void)pthread_mutex_init(&index->shards[part].lock, NULL);
    }
    return index;
}

void relay_index_free(struct relay_index **index_ptr)
{
    struct relay_index *index = *index_ptr;

    *index_ptr = NULL;
    if (index == NULL) {
        return;
    }
    for (unsigned part = 0; part < SHARDS; part++) {
        for (unsigned side = 0; side < SIDES; side++) {
            forget(&index->shards[part].sides[side]);
        }
        (void)pthread_mutex_destroy(&index->shards[part].lock);
    }
    free(index);
}
