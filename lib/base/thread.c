/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/base/thread.h"

#include <signal.h>
#include <time.h>

int thread_start(pthread_t *thread_out, void *(*run)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread_out, NULL, run, arg);

    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

void thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;

    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}
