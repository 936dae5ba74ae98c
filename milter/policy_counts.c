/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/policy_counts.h"

#include "lib/base/xalloc.h"
#include "lib/table/hash64.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* A key can stand in any place of its row; the one that was used longest ago makes room. */
#define PLACES 8u
#define MESSAGE_ROWS 1024u
#define RECIPIENT_ROWS 8192u

struct place {
    uint64_t hash; /* 0: free */
    uint64_t used; /* by a clock that counts uses */
    unsigned count;
};

struct policy_counts {
    pthread_mutex_t lock;
    uint64_t seed;
    uint64_t clock;
    struct place messages[MESSAGE_ROWS][PLACES];
    struct place recipients[RECIPIENT_ROWS][PLACES];
};

static uint64_t hash_text(const char *text, uint64_t seed)
{
    uint64_t hash = hash64(text, strlen(text), seed);

    return hash == 0 ? 1 : hash;
}

static struct place *find(struct place *row, uint64_t hash)
{
    for (unsigned i = 0; i < PLACES; i++) {
        if (row[i].hash == hash) {
            return &row[i];
        }
    }
    return NULL;
}

/* The place of the key, which is the one used last now. */
static struct place *take(struct policy_counts *counts, struct place *row, uint64_t hash)
{
    struct place *place = find(row, hash);

    if (place == NULL) {
        place = row;
        for (unsigned i = 1; i < PLACES; i++) {
            place = row[i].used < place->used ? &row[i] : place;
        }
        *place = (struct place){.hash = hash};
    }
    place->used = ++counts->clock;
    return place;
}

unsigned policy_counts_find(struct policy_counts *counts, const char *instance,
                            const char *recipient, bool *counted_out)
{
    uint64_t message = hash_text(instance, counts->seed);
    uint64_t both = hash_text(recipient, message);

    (void)pthread_mutex_lock(&counts->lock);
    const struct place *place = find(counts->messages[message % MESSAGE_ROWS], message);
    unsigned count = place == NULL ? 0 : place->count;

    *counted_out = find(counts->recipients[both % RECIPIENT_ROWS], both) != NULL;
    (void)pthread_mutex_unlock(&counts->lock);
    return count;
}

void policy_counts_add(struct policy_counts *counts, const char *instance, const char *recipient)
{
    uint64_t message = hash_text(instance, counts->seed);
    uint64_t both = hash_text(recipient, message);

    (void)pthread_mutex_lock(&counts->lock);
    take(counts, counts->messages[message % MESSAGE_ROWS], message)->count++;
    (void)take(counts, counts->recipients[both % RECIPIENT_ROWS], both);
    (void)pthread_mutex_unlock(&counts->lock);
}

struct policy_counts *policy_counts_new(void)
{
    struct policy_counts *counts = xcalloc(1, sizeof(*counts));

    if (getrandom(&counts->seed, sizeof(counts->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(counts->seed)) {
        counts->seed = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)counts;
    }
    (void)pthread_mutex_init(&counts->lock, NULL);
    return counts;
}

void policy_counts_free(struct policy_counts **counts)
{
    if (*counts != NULL) {
        (void)pthread_mutex_destroy(&(*counts)->lock);
        free(*counts);
        *counts = NULL;
    }
}
