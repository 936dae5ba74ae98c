/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_index.h"

#include "lib/base/xalloc.h"
#include "lib/relay/relay_pace.h"
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

/* A copy of a whole part: texts behind each other. */
struct part {
    struct relay_slot *slots;
    size_t count;
    size_t size;
    struct strbuf texts;
};

static void append_piece(struct part *part, const struct relay_slots_copy *piece)
{
    if (piece->count == 0) {
        return;
    }
    if (part->count + piece->count > part->size) {
        part->size = 2 * part->size + RELAY_SLOTS_PIECE;
        part->slots = xrealloc(part->slots, part->size * sizeof(*part->slots));
    }
    memcpy(part->slots + part->count, piece->slots, piece->count * sizeof(*part->slots));
    part->count += piece->count;
    strbuf_append_len(&part->texts, piece->texts, piece->texts_len);
}

/* Copies the side in force; what must grow for that grows while the lock is not held. */
static void copy_part(const struct relay_index *index, struct shard *shard, struct part *part)
{
    unsigned generation = atomic_load(&index->generation);
    struct relay_slots_copy piece;
    uint32_t cursor = 0;
    uint32_t moves = 0;
    bool more = true;

    part->count = 0;
    strbuf_reset(&part->texts);
    while (more) {
        (void)pthread_mutex_lock(&shard->lock);
        const struct relay_slots *slots = &shard->sides[generation % SIDES];

        if (cursor > 0 && slots->moves != moves) {
            cursor = 0;
            part->count = 0;
            strbuf_reset(&part->texts);
        }
        moves = slots->moves;
        more = relay_slots_copy(slots, &cursor, &piece);
        (void)pthread_mutex_unlock(&shard->lock);
        append_piece(part, &piece);
        if (!more && atomic_load(&index->generation) != generation) {
            /* That side was replaced and emptied meanwhile. */
            generation = atomic_load(&index->generation);
            cursor = 0;
            part->count = 0;
            strbuf_reset(&part->texts);
            more = true;
        }
    }
}

static void visit_part(const struct part *part, relay_store_visit *visit, void *ctx)
{
    const char *at = part->texts.data;

    for (size_t i = 0; i < part->count; i++) {
        struct relay_entry entry = {.addr = relay_slot_addr(&part->slots[i]),
                                    .login_at = part->slots[i].login_at};

        entry.user = at;
        at += strlen(at) + 1;
        entry.service = at;
        at += strlen(at) + 1;
        visit(ctx, &entry);
    }
}

bool relay_index_walk(const struct relay_index *index, size_t *cursor, relay_store_visit *visit,
                      void *ctx)
{
    struct relay_index *own = (struct relay_index *)(uintptr_t)index;
    struct part part = {.count = 0};

    strbuf_init(&part.texts);
    while (part.count == 0 && *cursor < SHARDS) {
        copy_part(index, &own->shards[*cursor], &part);
        (*cursor)++;
        visit_part(&part, visit, ctx);
    }
    bool found = part.count > 0;

    free(part.slots);
    strbuf_fini(&part.texts);
    return found;
}

/*
 * ---- changes ----
 *
 * There is one thread that makes them, so it reads without locks: it needs them to change what others may be reading. What takes long (new
 * memory, tables of another size) is made ready before, and only put in its place under the lock.
 */

size_t relay_index_count_until(const struct relay_index *index, int64_t until)
{
    unsigned side = side_in_force(index);
    size_t count = 0;

    for (unsigned part = 0; part < SHARDS; part++) {
        count += relay_slots_count_until(&index->shards[part].sides[side], until);
    }
    return count;
}

/* Puts another table in the place of this one; returns the old one. */
static struct relay_slots exchange(struct shard *shard, unsigned side, struct relay_slots slots)
{
    struct relay_slots old;

    (void)pthread_mutex_lock(&shard->lock);
    old = shard->sides[side];
    shard->sides[side] = slots;
    (void)pthread_mutex_unlock(&shard->lock);
    return old;
}

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
    struct relay_slot *slot = relay_slots_search(slots, place.tag, &entry->addr);

    if (slot == NULL && relay_slots_are_full(slots)) {
        free(exchange(place.shard, side, relay_slots_grown(slots)).at);
    }
    (void)pthread_mutex_lock(&place.shard->lock);
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

    struct relay_slot *slot = relay_slots_search(slots, place.tag, addr);

    if (slot == NULL) {
        return false;
    }
    char *texts = slot->texts;

    count_change(index, side, slot, SIZE_MAX);
    (void)pthread_mutex_lock(&place.shard->lock);
    relay_slots_vacate(slots, slot);
    (void)pthread_mutex_unlock(&place.shard->lock);
    free(texts);
    return true;
}

/* Throws the old ones of one part out. */
static size_t expire_part(struct relay_index *index, struct shard *shard, unsigned side,
                          int64_t until)
{
    size_t removed = relay_slots_count_until(&shard->sides[side], until);

    if (removed == 0) {
        return 0;
    }
    struct relay_slots old = exchange(shard, side, relay_slots_younger(&shard->sides[side], until));

    for (uint32_t i = 0; i < old.capacity; i++) {
        const struct relay_slot *slot = &old.at[i];

        if (slot->family != NETADDR_NONE && slot->login_at <= until) {
            count_change(index, side, slot, SIZE_MAX);
            free(slot->texts);
        }
    }
    free(old.at);
    return removed;
}

size_t relay_index_expire(struct relay_index *index, int64_t until)
{
    unsigned side = side_in_force(index);
    struct relay_pace pace;
    size_t removed = 0;

    relay_pace_init(&pace);
    for (unsigned part = 0; part < SHARDS; part++) {
        removed += expire_part(index, &index->shards[part], side, until);
        relay_pace_step(&pace);
    }
    return removed;
}

/* ---- replacing all ---- */

static void empty_side(struct relay_index *index, unsigned side)
{
    struct relay_pace pace;

    relay_pace_init(&pace);
    for (unsigned part = 0; part < SHARDS; part++) {
        struct shard *shard = &index->shards[part];
        struct relay_slots old = exchange(
            shard, side, (struct relay_slots){.moves = shard->sides[side].moves + 1});

        relay_slots_forget(&old);
        relay_pace_step(&pace);
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
