/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_cache.h"
#include "lib/base/pool.h"
#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 1024u

/* What an entry takes beside its result: itself, the answer and its name, and what malloc() needs. */
#define ENTRY_BYTES 448u

struct entry {
    struct entry *next; /* of the bucket */
    struct entry *newer;
    struct entry *older;
    struct dns_answer *answer;
    uint64_t hash;
    int64_t expires;
    size_t bytes;
    bool settled;   /* it is in the list by age */
    bool forgotten; /* it will not be, when it is answered */
};

struct dns_cache {
    uint64_t seed;
    struct entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t all;          /* in flight too */
    struct entry *newest;
    struct entry *oldest;
    size_t entries_max;
    size_t bytes_max;
    struct dns_cache_stats stats;
    struct pool *entries;
};

/* ---- the list by age ---- */

static void list_remove(struct dns_cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void list_put_first(struct dns_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

/* ---- the table ---- */

static uint64_t hash_of(const struct dns_cache *cache, const char *name, enum dns_type type)
{
    return hash64(name, strlen(name), cache->seed + (uint64_t)type);
}

static struct entry **bucket_of(const struct dns_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static void grow(struct dns_cache *cache)
{
    struct entry **old = cache->buckets;
    size_t count = cache->bucket_count;

    cache->bucket_count *= 2;
    cache->buckets = xcalloc(cache->bucket_count, sizeof(*cache->buckets));
    for (size_t i = 0; i < count; i++) {
        while (old[i] != NULL) {
            struct entry *entry = old[i];
            struct entry **bucket = bucket_of(cache, entry->hash);

            old[i] = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
}

/* Where the entry hangs; *result is NULL if there is none. */
static struct entry **find_link(struct dns_cache *cache, const char *name, enum dns_type type)
{
    uint64_t hash = hash_of(cache, name, type);
    struct entry **link = bucket_of(cache, hash);

    while (*link != NULL && ((*link)->hash != hash || dns_answer_type((*link)->answer) != type ||
                             strcmp(dns_answer_name((*link)->answer), name) != 0)) {
        link = &(*link)->next;
    }
    return link;
}

static void remove_at(struct dns_cache *cache, struct entry **link)
{
    struct entry *entry = *link;

    *link = entry->next;
    if (entry->settled) {
        list_remove(cache, entry);
        cache->stats.entries--;
        cache->stats.bytes -= entry->bytes;
    }
    cache->all--;
    dns_answer_unref(&entry->answer);
    pool_give(cache->entries, entry);
}

static void shrink(struct dns_cache *cache, int64_t now)
{
    while (cache->oldest != NULL &&
           (cache->stats.entries > cache->entries_max || cache->stats.bytes > cache->bytes_max)) {
        struct entry *oldest = cache->oldest;
        struct entry **link = bucket_of(cache, oldest->hash);

        while (*link != oldest) {
            link = &(*link)->next;
        }
        cache->stats.evicted += oldest->expires > now ? 1 : 0;
        remove_at(cache, link);
    }
}

/* ---- interface ---- */

struct dns_cache *dns_cache_new(uint64_t seed)
{
    struct dns_cache *cache = xcalloc(1, sizeof(*cache));

    cache->seed = seed;
    cache->bucket_count = BUCKETS_MIN;
    cache->buckets = xcalloc(cache->bucket_count, sizeof(*cache->buckets));
    cache->entries = pool_new(sizeof(struct entry));
    return cache;
}

void dns_cache_free(struct dns_cache **cache_ptr)
{
    struct dns_cache *cache = *cache_ptr;

    *cache_ptr = NULL;
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < cache->bucket_count; i++) {
        while (cache->buckets[i] != NULL) {
            remove_at(cache, &cache->buckets[i]);
        }
    }
    pool_close(&cache->entries);
    free(cache->buckets);
    free(cache);
}

void dns_cache_limit(struct dns_cache *cache, size_t entries, size_t bytes)
{
    cache->entries_max = entries;
    cache->bytes_max = bytes;
    shrink(cache, dns_now());
}

void dns_cache_clear(struct dns_cache *cache)
{
    for (size_t i = 0; i < cache->bucket_count; i++) {
        struct entry **link = &cache->buckets[i];

        while (*link != NULL) {
            if ((*link)->settled) {
                remove_at(cache, link);
            } else {
                (*link)->forgotten = true;
                link = &(*link)->next;
            }
        }
    }
}

struct dns_answer *dns_cache_find(struct dns_cache *cache, const char *name, enum dns_type type,
                                  int64_t now)
{
    struct entry **link = find_link(cache, name, type);
    struct entry *entry = *link;

    if (entry == NULL) {
        return NULL;
    }
    if (entry->settled) {
        if (entry->expires <= now) {
            remove_at(cache, link);
            return NULL;
        }
        list_remove(cache, entry);
        list_put_first(cache, entry);
    }
    return entry->answer;
}

void dns_cache_add(struct dns_cache *cache, struct dns_answer *answer)
{
    struct entry *entry = pool_take(cache->entries);

    if (cache->all >= cache->bucket_count) {
        grow(cache);
    }
    *entry = (struct entry){
        .answer = dns_answer_ref(answer),
        .hash = hash_of(cache, dns_answer_name(answer), dns_answer_type(answer)),
    };
    struct entry **bucket = bucket_of(cache, entry->hash);

    entry->next = *bucket;
    *bucket = entry;
    cache->all++;
}

void dns_cache_settle(struct dns_cache *cache, struct dns_answer *answer, int64_t now,
                      int64_t expires)
{
    struct entry **link = find_link(cache, dns_answer_name(answer), dns_answer_type(answer));
    struct entry *entry = *link;

    if (entry == NULL || entry->answer != answer || entry->settled) {
        return;
    }
    if (expires <= now || entry->forgotten) {
        remove_at(cache, link);
        return;
    }
    entry->settled = true;
    entry->expires = expires;
    entry->bytes = dns_answer_result(answer)->bytes + ENTRY_BYTES;
    cache->stats.entries++;
    cache->stats.bytes += entry->bytes;
    list_put_first(cache, entry);
    shrink(cache, now);
}

struct dns_cache_stats dns_cache_stats(const struct dns_cache *cache)
{
    return cache->stats;
}
