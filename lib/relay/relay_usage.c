/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_usage.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FIRST_SIZE 16u
#define PIECE 1024u /* nodes that are looked at in one go */

/* Nodes name each other by their numbers; number 0 is none, and the head of the list by use. */
struct node {
    struct netaddr addr;
    int64_t hour_at; /* when its hour began */
    unsigned this_hour;
    uint64_t recipients;
    uint64_t refused;
    uint32_t next; /* of the same bucket */
    uint32_t older;
    uint32_t newer;
};

struct relay_usage {
    uint64_t seed;
    atomic_ullong recipients;
    atomic_ullong refused;

    pthread_mutex_t lock; /* of what follows */
    size_t max;
    struct node *nodes;
    uint32_t count; /* number 0 included */
    uint32_t size;  /* of nodes, and of buckets: a power of two */
    uint32_t *buckets;
};

/* ---- the table ---- */

static uint32_t *bucket_of(const struct relay_usage *usage, const struct netaddr *addr)
{
    unsigned char key[sizeof(addr->bytes) + 2];

    memcpy(key, addr->bytes, sizeof(addr->bytes));
    key[sizeof(addr->bytes)] = addr->bits;
    key[sizeof(addr->bytes) + 1] = (unsigned char)addr->family;
    return &usage->buckets[hash64(key, sizeof(key), usage->seed) & (usage->size - 1)];
}

static void unlink_use(struct node *nodes, uint32_t number)
{
    nodes[nodes[number].older].newer = nodes[number].newer;
    nodes[nodes[number].newer].older = nodes[number].older;
}

/* As the one that was used last. */
static void link_use(struct node *nodes, uint32_t number)
{
    nodes[number].newer = 0;
    nodes[number].older = nodes[0].older;
    nodes[nodes[0].older].newer = number;
    nodes[0].older = number;
}

static void unlink_bucket(struct relay_usage *usage, uint32_t number)
{
    uint32_t *at = bucket_of(usage, &usage->nodes[number].addr);

    while (*at != number) {
        at = &usage->nodes[*at].next;
    }
    *at = usage->nodes[number].next;
}

static void link_bucket(struct relay_usage *usage, uint32_t number)
{
    uint32_t *at = bucket_of(usage, &usage->nodes[number].addr);

    usage->nodes[number].next = *at;
    *at = number;
}

static void grow(struct relay_usage *usage)
{
    usage->size *= 2;
    usage->nodes = xrealloc(usage->nodes, usage->size * sizeof(*usage->nodes));
    free(usage->buckets);
    usage->buckets = xcalloc(usage->size, sizeof(*usage->buckets));
    for (uint32_t i = 1; i < usage->count; i++) {
        link_bucket(usage, i);
    }
}

/* A number for another address: a new one, or that of the address that has been quiet for longest. */
static uint32_t take_number(struct relay_usage *usage)
{
    uint32_t number = usage->count;

    if (number > usage->max) {
        number = usage->nodes[0].newer;
        unlink_use(usage->nodes, number);
        unlink_bucket(usage, number);
        return number;
    }
    if (number == usage->size) {
        grow(usage);
    }
    usage->count++;
    return number;
}

/* The node of an address, which is the one used last now. */
static struct node *use(struct relay_usage *usage, const struct netaddr *addr, int64_t now)
{
    uint32_t number = *bucket_of(usage, addr);

    while (number != 0 && !netaddr_equal(&usage->nodes[number].addr, addr)) {
        number = usage->nodes[number].next;
    }
    if (number != 0) {
        unlink_use(usage->nodes, number);
    } else {
        number = take_number(usage);
        usage->nodes[number] = (struct node){.addr = *addr, .hour_at = now};
        link_bucket(usage, number);
    }
    link_use(usage->nodes, number);
    return &usage->nodes[number];
}

/* ---- counting ---- */

/* A clock that was set back must not make an hour longer than one. */
static void begin_hour(struct node *node, int64_t now)
{
    if (now - node->hour_at >= RELAY_USAGE_HOUR || node->this_hour == 0) {
        node->hour_at = now;
        node->this_hour = 0;
    } else if (now < node->hour_at) {
        node->hour_at = now;
    }
}

bool relay_usage_charge(struct relay_usage *usage, const struct netaddr *addr, unsigned limit,
                        int64_t now)
{
    (void)pthread_mutex_lock(&usage->lock);
    struct node *node = use(usage, addr, now);

    begin_hour(node, now);
    bool may = limit == 0 || node->this_hour < limit;

    if (may) {
        node->this_hour++;
        node->recipients++;
    } else {
        node->refused++;
    }
    (void)pthread_mutex_unlock(&usage->lock);
    (void)atomic_fetch_add(may ? &usage->recipients : &usage->refused, 1);
    return may;
}

void relay_usage_note_refused(struct relay_usage *usage, const struct netaddr *addr, int64_t now)
{
    (void)pthread_mutex_lock(&usage->lock);
    use(usage, addr, now)->refused++;
    (void)pthread_mutex_unlock(&usage->lock);
    (void)atomic_fetch_add(&usage->refused, 1);
}

/* ---- what is shown ---- */

/* Puts it where it belongs, if it does; the last one falls out. Returns how many there are. */
static size_t rank(struct relay_top *top, size_t count, size_t size, const struct node *node,
                   int64_t now)
{
    size_t at = count;

    while (at > 0 &&
           (top[at - 1].recipients < node->recipients ||
            (top[at - 1].recipients == node->recipients && top[at - 1].refused < node->refused))) {
        at--;
    }
    if (at == size) {
        return count;
    }
    count += count < size ? 1 : 0;
    memmove(&top[at + 1], &top[at], (count - at - 1) * sizeof(*top));
    top[at] = (struct relay_top){
        .addr = node->addr,
        .recipients = node->recipients,
        .refused = node->refused,
        .this_hour = now - node->hour_at >= RELAY_USAGE_HOUR ? 0 : node->this_hour,
    };
    return count;
}

size_t relay_usage_top(struct relay_usage *usage, struct relay_top *top, size_t size)
{
    int64_t now = (int64_t)time(NULL);
    uint32_t at = 1;
    size_t count = 0;
    bool more = size > 0;

    while (more) {
        (void)pthread_mutex_lock(&usage->lock);
        for (unsigned i = 0; i < PIECE && at < usage->count; i++, at++) {
            count = rank(top, count, size, &usage->nodes[at], now);
        }
        more = at < usage->count;
        (void)pthread_mutex_unlock(&usage->lock);
    }
    return count;
}

void relay_usage_totals(const struct relay_usage *usage, uint64_t *recipients_out,
                        uint64_t *refused_out)
{
    *recipients_out = atomic_load(&usage->recipients);
    *refused_out = atomic_load(&usage->refused);
}

/* ---- life ---- */

struct relay_usage *relay_usage_new(size_t max_addresses)
{
    struct relay_usage *usage = xcalloc(1, sizeof(*usage));

    if (getrandom(&usage->seed, sizeof(usage->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(usage->seed)) {
        usage->seed = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)usage;
    }
    usage->max = max_addresses;
    usage->size = FIRST_SIZE;
    usage->nodes = xcalloc(usage->size, sizeof(*usage->nodes));
    usage->buckets = xcalloc(usage->size, sizeof(*usage->buckets));
    usage->count = 1;
    (void)pthread_mutex_init(&usage->lock, NULL);
    return usage;
}

void relay_usage_free(struct relay_usage **usage)
{
    if (*usage != NULL) {
        (void)pthread_mutex_destroy(&(*usage)->lock);
        free((*usage)->nodes);
        free((*usage)->buckets);
        free(*usage);
        *usage = NULL;
    }
}

void relay_usage_resize(struct relay_usage *usage, size_t max_addresses)
{
    (void)pthread_mutex_lock(&usage->lock);
    usage->max = max_addresses;
    (void)pthread_mutex_unlock(&usage->lock);
}
