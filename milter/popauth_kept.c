/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/popauth_kept.h"

#include "lib/base/strbuf.h"
#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct popauth_kept {
    struct eventloop *loop;
    struct relay_store *store;
    struct popauth_kept_owner owner;
    struct logger *logger;
    struct eventloop_timer timer; /* of the loop's thread */
    struct eventloop_task task;

    pthread_mutex_t lock; /* of all below */
    int64_t keep_ms;
    struct popauth_kept_change
        *first; /* that wait; the one that is kept for longest may be anywhere */
    struct popauth_kept_change **last;
    size_t waiting;
    size_t under_way; /* with the store */
    bool has_failed;  /* of these, since they were submitted */
    bool is_posted;
    bool is_finished;

    /* Since something is kept. */
    int64_t begun_ms; /* 0: nothing is */
    size_t recorded;
    size_t lost;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the log: a line when it begins, and one when it is over ---- */

static void tell_begin(struct popauth_kept *kept, const char *why)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "kept");
    log_field(&line, "state", "begins");
    log_field(&line, "error", why);
    log_line(kept->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

/* With the lock. */
static void end_if_empty(struct popauth_kept *kept)
{
    if (kept->begun_ms > 0 && kept->waiting + kept->under_way == 0) {
        log_printf(kept->logger, kept->lost > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                   "event=kept state=over seconds=%lu recorded=%zu lost=%zu",
                   (unsigned long)((now_ms() - kept->begun_ms) / 1000), kept->recorded, kept->lost);
        kept->begun_ms = 0;
        kept->recorded = 0;
        kept->lost = 0;
    }
}

/* ---- attempts ---- */

/* With the lock: the loop's thread is to look what there is to be done. */
static void post(struct popauth_kept *kept)
{
    if (!kept->is_posted) {
        kept->is_posted = true;
        eventloop_post(kept->loop, &kept->task);
    }
}

static void append(struct popauth_kept *kept, struct popauth_kept_change *change)
{
    change->next = NULL;
    *kept->last = change;
    kept->last = &change->next;
    kept->waiting++;
}

/* With the lock: takes out what waits and is too old, or all. */
static struct popauth_kept_change *take_old(struct popauth_kept *kept, bool all)
{
    struct popauth_kept_change *change = kept->first;
    struct popauth_kept_change *old = NULL;
    int64_t now = now_ms();

    kept->first = NULL;
    kept->last = &kept->first;
    kept->waiting = 0;
    while (change != NULL) {
        struct popauth_kept_change *next = change->next;

        if (all || change->until_ms <= now) {
            change->next = old;
            old = change;
            kept->lost++;
        } else {
            append(kept, change);
        }
        change = next;
    }
    return old;
}

/* With the lock: what is to be tried now, linked by relay_change.next. */
static struct relay_change *take_piece(struct popauth_kept *kept)
{
    struct relay_change *piece = NULL;
    struct relay_change **last = &piece;
    size_t most = kept->has_failed ? 1 : POPAUTH_KEPT_PIECE;

    kept->has_failed = false;
    while (kept->first != NULL && kept->under_way < most) {
        struct popauth_kept_change *change = kept->first;

        kept->first = change->next;
        kept->waiting--;
        kept->under_way++;
        change->is_under_way = true;
        change->change->next = NULL;
        *last = change->change;
        last = &change->change->next;
    }
    if (kept->first == NULL) {
        kept->last = &kept->first;
    }
    return piece;
}

static void drop(struct popauth_kept *kept, struct popauth_kept_change *change, const char *why)
{
    while (change != NULL) {
        struct popauth_kept_change *next = change->next;

        kept->owner.dropped(change->change, why);
        change = next;
    }
}

static void try_some(struct popauth_kept *kept)
{
    struct relay_change *piece = NULL;

    (void)pthread_mutex_lock(&kept->lock);
    struct popauth_kept_change *old = take_old(kept, kept->is_finished);

    if (kept->under_way == 0) {
        piece = take_piece(kept);
    }
    end_if_empty(kept);
    (void)pthread_mutex_unlock(&kept->lock);
    if (old != NULL || piece != NULL) {
        kept->owner.attempt(kept->owner.owner);
    }
    drop(kept, old, "the store was away for too long");
    if (piece != NULL) {
        relay_store_submit(kept->store, piece);
    }
}

static void time_is_over(void *owner)
{
    try_some(owner);
}

/* Something has to wait, or a piece is done. */
static void look(void *owner)
{
    struct popauth_kept *kept = owner;

    (void)pthread_mutex_lock(&kept->lock);
    kept->is_posted = false;
    bool is_idle = kept->under_way == 0 && kept->waiting > 0 && !kept->is_finished;
    bool has_failed = kept->has_failed;

    end_if_empty(kept);
    (void)pthread_mutex_unlock(&kept->lock);
    if (is_idle && !has_failed) {
        try_some(kept);
    } else if (is_idle && kept->timer.slot == 0) {
        eventloop_set_timer(kept->loop, &kept->timer, POPAUTH_KEPT_RETRY_MS);
    }
}

/* ---- what the store says ---- */

/* With the lock: one of a piece is done with. */
static void come_back(struct popauth_kept *kept)
{
    if (--kept->under_way == 0) {
        post(kept);
    }
}

static bool is_full(const struct popauth_kept *kept)
{
    return kept->is_finished || kept->waiting + kept->under_way >= POPAUTH_KEPT_MAX;
}

bool popauth_kept_has_room(struct popauth_kept *kept)
{
    (void)pthread_mutex_lock(&kept->lock);
    bool has_room = !is_full(kept);

    (void)pthread_mutex_unlock(&kept->lock);
    return has_room;
}

bool popauth_kept_add(struct popauth_kept *kept, struct popauth_kept_change *change,
                      const char *why)
{
    bool begins = false;
    bool is_kept;

    (void)pthread_mutex_lock(&kept->lock);
    kept->has_failed = true;
    if (change->is_under_way) {
        change->is_under_way = false;
        is_kept = !kept->is_finished;
        kept->lost += !is_kept;
        if (is_kept) {
            append(kept, change);
        }
        come_back(kept);
    } else if ((is_kept = !is_full(kept))) {
        int64_t now = now_ms();

        begins = kept->begun_ms == 0;
        kept->begun_ms = begins ? now : kept->begun_ms;
        change->until_ms = now + kept->keep_ms;
        append(kept, change);
        post(kept);
    } else {
        kept->lost += kept->begun_ms > 0;
    }
    (void)pthread_mutex_unlock(&kept->lock);
    if (begins) {
        tell_begin(kept, why);
    }
    return is_kept;
}

void popauth_kept_settle(struct popauth_kept *kept, const struct popauth_kept_change *change,
                         bool was_granted)
{
    if (change->is_under_way) {
        (void)pthread_mutex_lock(&kept->lock);
        kept->recorded += was_granted;
        kept->lost += !was_granted;
        come_back(kept);
        (void)pthread_mutex_unlock(&kept->lock);
    }
}

size_t popauth_kept_count(struct popauth_kept *kept)
{
    (void)pthread_mutex_lock(&kept->lock);
    size_t count = kept->waiting + kept->under_way;

    (void)pthread_mutex_unlock(&kept->lock);
    return count;
}

/* ---- life ---- */

void popauth_kept_configure(struct popauth_kept *kept, int64_t keep_ms)
{
    (void)pthread_mutex_lock(&kept->lock);
    kept->keep_ms = keep_ms;
    (void)pthread_mutex_unlock(&kept->lock);
}

struct popauth_kept *popauth_kept_new(struct eventloop *loop, struct relay_store *store,
                                      int64_t keep_ms, const struct popauth_kept_owner *owner,
                                      struct logger *logger)
{
    struct popauth_kept *kept = xcalloc(1, sizeof(*kept));

    kept->loop = loop;
    kept->store = store;
    kept->owner = *owner;
    kept->logger = logger;
    kept->timer = (struct eventloop_timer){.expired = time_is_over, .owner = kept};
    kept->task = (struct eventloop_task){.run = look, .owner = kept};
    (void)pthread_mutex_init(&kept->lock, NULL);
    kept->keep_ms = keep_ms;
    kept->last = &kept->first;
    return kept;
}

void popauth_kept_finish(struct popauth_kept *kept)
{
    eventloop_clear_timer(kept->loop, &kept->timer);
    (void)pthread_mutex_lock(&kept->lock);
    kept->is_finished = true;
    struct popauth_kept_change *rest = take_old(kept, true);

    end_if_empty(kept);
    (void)pthread_mutex_unlock(&kept->lock);
    drop(kept, rest, "the daemon ends");
}

static void nothing(void *owner)
{
    (void)owner;
}

void popauth_kept_free(struct popauth_kept **kept)
{
    if (*kept != NULL) {
        /* Tasks run in their order: what was posted last has run then. */
        eventloop_call((*kept)->loop, nothing, NULL);
        (void)pthread_mutex_destroy(&(*kept)->lock);
        free(*kept);
        *kept = NULL;
    }
}
