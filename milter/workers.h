/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * workers - a few threads for what may take long, so that an event loop need not wait for it.
 */
#ifndef POSTERN_MILTER_WORKERS_H
#define POSTERN_MILTER_WORKERS_H

#include <stdint.h>

struct workers;

/* How many threads: for what computes or reads files, and for what waits for other processes. */
#define WORKERS_TO_COMPUTE 2u
#define WORKERS_TO_WAIT 64u

/* In the caller's storage until `run` is called, which may free it. */
struct workers_job {
    void (*run)(void *owner);
    void *owner;
    struct workers_job *next; /* the workers' own, as what follows */
    int64_t submitted_ms;
};

/* Starts `threads` threads; NULL if not even one is to be had. */
struct workers *workers_new(unsigned threads);

/*
 * Has one of the threads call the job's function; jobs begin in the order in which they come. Waits for nothing; safe for
 * threads.
 */
void workers_submit(struct workers *workers, struct workers_job *job);

/* For how long it has been submitted, in milliseconds. */
int64_t workers_age(const struct workers_job *job);

/* Finishes all jobs that were submitted, ends the threads and frees all. NULL is legal. */
void workers_free(struct workers **workers);

#endif
