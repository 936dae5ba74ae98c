/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * thread - threads of a library inside a program that has its own.
 */
#ifndef POSTERN_LIB_BASE_THREAD_H
#define POSTERN_LIB_BASE_THREAD_H

#include <pthread.h>

/* Starts a thread that gets no signal: those are for the program's own threads. 0, or an error number. */
int thread_start(pthread_t *thread_out, void *(*run)(void *arg), void *arg);

/* As pthread_cond_init(); pthread_cond_timedwait() goes by the monotonic clock, so that whoever sets the clock makes nobody wait. */
void thread_cond_init(pthread_cond_t *cond);

#endif
