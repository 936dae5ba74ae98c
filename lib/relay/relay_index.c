/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_index.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_slots.h"
#include "lib/table/hash64.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SHARD_BITS 10u
#define SHARDS (1u << SHARD_BITS)
#define SIDES 2u /* one is in force, the other is empty or being filled to replace it */
#define LENGTHS 129u

struct shard {
    pthread_mutex_t lock;
    struct relay_slots sides[SIDES];
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

/* ---- entries ---- */

static void copy_out(const struct relay_slot *slot, struct relay_found *found_out)
{
    if (found_out == NULL) {
        return;
    }
    found_out->addr = relay_slot_addr(slot);
    found_out->login_at = slot->login_at;
    /* They fit: only sound entries come in. */
    memcpy(found_out->user, relay_slot_user(slot), strlen(relay_slot_user(slot)) + 1);
    memcpy(found_out->service, relay_slot_service(slot), strlen(relay_slot_service(slot)) + 1);
}

static void count_change(struct relay_index *index, unsigned side, const struct relay_slot *slot,
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
    const struct relay_slot *slot = relay_slots_search(&place.shard->sides[side], place.tag, addr);
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
static size_t copy_side(struct shard *shard, unsigned side, struct relay_slot **copies_out,
                        struct strbuf *texts)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&shard->lock);
    const struct relay_slots *slots = &shard->sides[side];
    struct relay_slot *copies = slots->count == 0 ? NULL : xmalloc(slots->count * sizeof(*copies));

    for (uint32_t i = 0; i < slots->capacity; i++) {
        const struct relay_slot *slot = &slots->at[i];

        if (slot->family == NETADDR_NONE) {
            continue;
        }
        copies[count++] = *slot;
        strbuf_append_len(texts, relay_slot_user(slot), strlen(relay_slot_user(slot)) + 1);
        strbuf_append_len(texts, relay_slot_service(slot), strlen(relay_slot_service(slot)) + 1);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    *copies_out = copies;
    return count;
}

/* The same of the side in force. */
static size_t copy_part(const struct relay_index *index, struct shard *shard,
                        struct relay_slot **copies_out, struct strbuf *texts)
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
        struct relay_slot *copies;

        count = copy_part(index, &own->shards[*cursor], &copies, &texts);
        (*cursor)++;

        const char *at = texts.data;

        for (size_t i = 0; i < count; i++) {
            struct relay_entry entry = {.addr = relay_slot_addr(&copies[i]),
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
        const struct relay_slots *slots = &shard->sides[side];

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
    struct relay_slots *slots = &place.shard->sides[side];
    char *texts = relay_slot_join_texts(entry);
    struct relay_slot fresh = {.login_at = entry->login_at,
                               .texts = texts,
                               .tag = place.tag,
                               .family = (uint8_t)entry->addr.family,
                               .bits = entry->addr.bits};

    memcpy(fresh.bytes, entry->addr.bytes, sizeof(fresh.bytes));
    (void)pthread_mutex_lock(&place.shard->lock);
    struct relay_slot *slot = relay_slots_search(slots, place.tag, &entry->addr);

    if (slot == NULL) {
        relay_slots_insert(slots, &fresh);
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
    struct relay_slots *slots = &place.shard->sides[side];

    (void)pthread_mutex_lock(&place.shard->lock);
    struct relay_slot *slot = relay_slots_search(slots, place.tag, addr);

    if (slot != NULL) {
        count_change(index, side, slot, SIZE_MAX);
        relay_slots_vacate(slots, slot);
    }
    (void)pthread_mutex_unlock(&place.shard->lock);
    return slot != NULL;
}

/* The side of an index that is worked on. */
struct side {
    struct relay_index *index;
    unsigned number;
};

static void count_expired(void *ctx, const struct relay_slot *slot)
{
    const struct side *side = ctx;

    count_change(side->index, side->number, slot, SIZE_MAX);
}

size_t relay_index_expire(struct relay_index *index, int64_t until)
{
    struct side side = {index, side_in_force(index)};
    size_t removed = 0;

    for (unsigned part = 0; part < SHARDS; part++) {
        struct shard *shard = &index->shards[part];

        (void)pthread_mutex_lock(&shard->lock);
        removed += relay_slots_expire(&shard->sides[side.number], until, count_expired, &side);
        (void)pthread_mutex_unlock(&shard->lock);
    }
    return removed;
}

/* ---- replacing all ---- */

static void empty_side(struct relay_index *index, unsigned side)
{
    for (unsigned part = 0; part < SHARDS; part++) {
        struct relay_slots old;

        (void)pthread_mutex_lock(&index->shards[part].lock);
        old = index->shards[part].sides[side];
        index->shards[part].sides[side] = (struct relay_slots){0};
        (void)pthread_mutex_unlock(&index->shards[part].lock);
        relay_slots_forget(&old);
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
            relay_slots_forget(&index->shards[part].sides[side]);
        }
        (void)pthread_mutex_destroy(&index->shards[part].lock);
    }
    free(index);
}
