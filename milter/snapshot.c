/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/snapshot.h"
#include "lib/base/xalloc.h"
#include "lib/policy/ruleset.h"

#include <pthread.h>
#include <stdlib.h>

struct snapshot {
    pthread_mutex_t lock; /* held for the time of a pointer and a count */
    struct ruleset *ruleset;
};

struct snapshot *snapshot_new(struct ruleset *ruleset)
{
    struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));

    (void)pthread_mutex_init(&snapshot->lock, NULL);
    snapshot->ruleset = ruleset;
    return snapshot;
}

void snapshot_free(struct snapshot **snapshot)
{
    if (*snapshot == NULL) {
        return;
    }
    ruleset_unref(&(*snapshot)->ruleset);
    (void)pthread_mutex_destroy(&(*snapshot)->lock);
    free(*snapshot);
    *snapshot = NULL;
}

struct ruleset *snapshot_get(struct snapshot *snapshot)
{
    (void)pthread_mutex_lock(&snapshot->lock);
    struct ruleset *ruleset = ruleset_ref(snapshot->ruleset);

    (void)pthread_mutex_unlock(&snapshot->lock);
    return ruleset;
}

void snapshot_swap(struct snapshot *snapshot, struct ruleset *ruleset)
{
    (void)pthread_mutex_lock(&snapshot->lock);
    struct ruleset *old = snapshot->ruleset;

    snapshot->ruleset = ruleset;
    (void)pthread_mutex_unlock(&snapshot->lock);
    ruleset_unref(&old); /* may close files: not under the lock */
}
