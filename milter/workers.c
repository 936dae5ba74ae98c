/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/workers.h"
#include "lib/base/xalloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct workers_job *first;
    struct workers_job **last;
    bool stopping;
    unsigned count;
    pthread_t threads[];
};

/* The next job; NULL: there is none left, and there will be none. */
static struct workers_job *next_job(struct workers *workers)
{
    (void)pthread_mutex_lock(&workers->lock);
    while (workers->first == NULL && !workers->stopping) {
        (void)pthread_cond_wait(&workers->changed, &workers->lock);
    }
    struct workers_job *job = workers->first;

    if (job != NULL) {
        workers->first = job->next;
        workers->last = workers->first == NULL ? &workers->first : workers->last;
    }
    (void)pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *worker_thread(void *arg)
{
    struct workers *workers = arg;
    struct workers_job *job;

    while ((job = next_job(workers)) != NULL) {
        job->run(job->owner);
    }
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

struct workers *workers_new(unsigned threads)
{
    struct workers *workers = xcalloc(1, sizeof(*workers) + threads * sizeof(workers->threads[0]));

    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_cond_init(&workers->changed, NULL);
    workers->last = &workers->first;
    while (workers->count < threads &&
           pthread_create(&workers->threads[workers->count], NULL, worker_thread, workers) == 0) {
        workers->count++;
    }
    if (workers->count == 0) {
        workers_free(&workers);
    }
    return workers;
}

void workers_submit(struct workers *workers, struct workers_job *job)
{
    job->submitted_ms = now_ms();
    job->next = NULL;
    (void)pthread_mutex_lock(&workers->lock);
    *workers->last = job;
    workers->last = &job->next;
    (void)pthread_cond_signal(&workers->changed);
    (void)pthread_mutex_unlock(&workers->lock);
}

int64_t workers_age(const struct workers_job *job)
{
    return now_ms() - job->submitted_ms;
}

void workers_free(struct workers **workers)
{
    if (*workers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&(*workers)->lock);
    (*workers)->stopping = true;
    (void)pthread_cond_broadcast(&(*workers)->changed);
    (void)pthread_mutex_unlock(&(*workers)->lock);
    for (unsigned i = 0; i < (*workers)->count; i++) {
        (void)pthread_join((*workers)->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&(*workers)->changed);
    (void)pthread_mutex_destroy(&(*workers)->lock);
    free(*workers);
    *workers = NULL;
}
