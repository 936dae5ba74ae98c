/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_answer.h"
#include "lib/base/pool.h"
#include "lib/base/thread.h"
#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Who waits, for any number of answers. */
struct waiter {
    pthread_mutex_t mutex; /* of missing */
    pthread_cond_t done;
    size_t missing;
};

/* That one answer is waited for; lies in memory of the one who waits. */
struct wish {
    struct waiter *waiter;
    struct wish *next;
    struct wish **link; /* what points here; NULL: it is in no list */
};

struct dns_answer {
    atomic_uint refs;
    atomic_bool ready;     /* set last: what it says can be read without a lock then */
    pthread_mutex_t mutex; /* of wishes, and of becoming ready */
    struct wish *wishes;
    struct dns_result *result; /* NULL, `plain`, or memory of its own */
    struct dns_result plain;   /* one without records, which most are */
    bool is_scripted;
    _Atomic(struct dns_result *) script; /* what it will say once somebody waits; NULL: nothing */
    uint64_t latency_us;
    enum dns_type type;
    struct pool *pool; /* where it came from; NULL: malloc() */
    char name[];
};

/* With room for a name of this length; those that are longer are few. */
#define POOL_NAME_SIZE 96u

/* What is said of an answer that did not come in time. */
static const struct dns_result timed_out = {
    .status = DNS_TEMPFAIL, .failure = DNS_FAILURE_TIMEOUT, .name = ""};

int64_t dns_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct pool *dns_answer_pool(void)
{
    return pool_new(sizeof(struct dns_answer) + POOL_NAME_SIZE);
}

struct dns_answer *dns_answer_new(const char *name, enum dns_type type)
{
    return dns_answer_new_in(NULL, name, type);
}

struct dns_answer *dns_answer_new_in(struct pool *pool, const char *name, enum dns_type type)
{
    size_t size = strlen(name) + 1;
    struct dns_answer *answer;

    if (size > POOL_NAME_SIZE) {
        pool = NULL;
    }
    answer = pool != NULL ? pool_take(pool) : xmalloc(sizeof(*answer) + size);
    answer->pool = pool;
    atomic_init(&answer->refs, 1);
    atomic_init(&answer->ready, false);
    (void)pthread_mutex_init(&answer->mutex, NULL);
    answer->wishes = NULL;
    answer->result = NULL;
    answer->is_scripted = false;
    atomic_init(&answer->script, NULL);
    answer->latency_us = 0;
    answer->type = type;
    (void)memcpy(answer->name, name, size);
    return answer;
}

struct dns_answer *dns_answer_new_scripted(const char *name, enum dns_type type,
                                           struct dns_result *result)
{
    struct dns_answer *answer = dns_answer_new(name, type);

    answer->is_scripted = true;
    atomic_init(&answer->script, result);
    return answer;
}

struct dns_answer *dns_answer_ref(struct dns_answer *answer)
{
    (void)atomic_fetch_add_explicit(&answer->refs, 1, memory_order_relaxed);
    return answer;
}

void dns_answer_unref(struct dns_answer **answer_ptr)
{
    struct dns_answer *answer = *answer_ptr;

    *answer_ptr = NULL;
    if (answer == NULL || atomic_fetch_sub_explicit(&answer->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    (void)pthread_mutex_destroy(&answer->mutex);
    if (answer->result != &answer->plain) {
        free(answer->result);
    }
    free(atomic_load(&answer->script));
    if (answer->pool != NULL) {
        pool_give(answer->pool, answer);
    } else {
        free(answer);
    }
}

bool dns_answer_has_more_references(const struct dns_answer *answer, unsigned count)
{
    return atomic_load_explicit(&answer->refs, memory_order_relaxed) > count;
}

const char *dns_answer_name(const struct dns_answer *answer)
{
    return answer->name;
}

enum dns_type dns_answer_type(const struct dns_answer *answer)
{
    return answer->type;
}

bool dns_answer_is_ready(const struct dns_answer *answer)
{
    return atomic_load_explicit(&answer->ready, memory_order_acquire);
}

const struct dns_result *dns_answer_result(const struct dns_answer *answer)
{
    return dns_answer_is_ready(answer) ? answer->result : &timed_out;
}

uint64_t dns_answer_latency_us(const struct dns_answer *answer)
{
    return dns_answer_is_ready(answer) ? answer->latency_us : 0;
}

/* ---- to wait ---- */

static void waiter_init(struct waiter *waiter)
{
    (void)pthread_mutex_init(&waiter->mutex, NULL);
    thread_cond_init(&waiter->done);
    waiter->missing = 0;
}

static void waiter_fini(struct waiter *waiter)
{
    (void)pthread_cond_destroy(&waiter->done);
    (void)pthread_mutex_destroy(&waiter->mutex);
}

/* Only answers that are not ready get the wish. */
static void wish_put(struct wish *wish, struct waiter *waiter, struct dns_answer *answer)
{
    (void)pthread_mutex_lock(&answer->mutex);
    if (!dns_answer_is_ready(answer)) {
        wish->waiter = waiter;
        wish->next = answer->wishes;
        wish->link = &answer->wishes;
        if (wish->next != NULL) {
            wish->next->link = &wish->next;
        }
        answer->wishes = wish;
        (void)pthread_mutex_lock(&waiter->mutex);
        waiter->missing++;
        (void)pthread_mutex_unlock(&waiter->mutex);
    }
    (void)pthread_mutex_unlock(&answer->mutex);
}

/* After this nobody knows the wish any more. */
static void wish_take_back(struct wish *wish, struct dns_answer *answer)
{
    (void)pthread_mutex_lock(&answer->mutex);
    if (wish->link != NULL) {
        *wish->link = wish->next;
        if (wish->next != NULL) {
            wish->next->link = wish->link;
        }
    }
    (void)pthread_mutex_unlock(&answer->mutex);
}

static bool wait_until(struct waiter *waiter, int64_t deadline)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000),
                                   .tv_nsec = (long)(deadline % 1000000000)};
    int failed = deadline <= 0 ? 1 : 0;

    (void)pthread_mutex_lock(&waiter->mutex);
    while (waiter->missing > 0 && failed == 0) {
        failed = pthread_cond_timedwait(&waiter->done, &waiter->mutex, &until);
    }
    bool done = waiter->missing == 0;

    (void)pthread_mutex_unlock(&waiter->mutex);
    return done;
}

static bool all_are_ready(struct dns_answer *const *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i] != NULL && !dns_answer_is_ready(answers[i])) {
            return false;
        }
    }
    return true;
}

/* False: one of them is scripted to stay silent. */
static bool follow_script(struct dns_answer *const *answers, size_t count)
{
    bool all = true;

    for (size_t i = 0; i < count; i++) {
        if (answers[i] != NULL && answers[i]->is_scripted) {
            struct dns_result *result = atomic_exchange(&answers[i]->script, NULL);

            if (result != NULL) {
                dns_answer_complete(answers[i], result, 0);
            }
            all = all && dns_answer_is_ready(answers[i]);
        }
    }
    return all;
}

bool dns_answer_wait_all(struct dns_answer *const *answers, size_t count, int64_t deadline)
{
    struct waiter waiter;

    if (all_are_ready(answers, count)) {
        return true;
    }
    if (!follow_script(answers, count)) {
        return false;
    }
    struct wish *wishes = xcalloc(count, sizeof(*wishes));

    waiter_init(&waiter);
    for (size_t i = 0; i < count; i++) {
        if (answers[i] != NULL) {
            wish_put(&wishes[i], &waiter, answers[i]);
        }
    }
    bool done = wait_until(&waiter, deadline);

    for (size_t i = 0; i < count; i++) {
        if (answers[i] != NULL) {
            wish_take_back(&wishes[i], answers[i]);
        }
    }
    waiter_fini(&waiter);
    free(wishes);
    return done;
}

bool dns_answer_wait(struct dns_answer *answer, int64_t deadline)
{
    return dns_answer_wait_all(&answer, 1, deadline);
}

/* ---- to answer ---- */

static void fulfil(struct wish *wish)
{
    struct waiter *waiter = wish->waiter;

    wish->link = NULL;
    (void)pthread_mutex_lock(&waiter->mutex);
    if (--waiter->missing == 0) {
        (void)pthread_cond_signal(&waiter->done);
    }
    (void)pthread_mutex_unlock(&waiter->mutex);
}

/* Takes the result over. One that says nothing but "no" needs no memory of its own. */
static struct dns_result *keep(struct dns_answer *answer, struct dns_result *result)
{
    bool own_name = strcmp(result->name, answer->name) == 0;

    if (result->count > 0 || (!own_name && *result->name != '\0')) {
        return result;
    }
    answer->plain = *result;
    answer->plain.name = own_name ? answer->name : "";
    answer->plain.records = NULL;
    free(result);
    return &answer->plain;
}

void dns_answer_complete(struct dns_answer *answer, struct dns_result *result, uint64_t latency_us)
{
    answer->result = keep(answer, result);
    answer->latency_us = latency_us;
    (void)pthread_mutex_lock(&answer->mutex);
    atomic_store_explicit(&answer->ready, true, memory_order_release);
    while (answer->wishes != NULL) {
        struct wish *wish = answer->wishes;

        answer->wishes = wish->next; /* the wish may be gone once its waiter has the lock */
        fulfil(wish);
    }
    (void)pthread_mutex_unlock(&answer->mutex);
}
