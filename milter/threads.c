/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

static void *do_nothing(void *arg)
{
    return arg;
}

static bool threads_can_start(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static void choose_stack_size(void)
{
    pthread_attr_t attributes;
    pthread_attr_t before;

    if (pthread_getattr_default_np(&before) != 0) {
        return; /* stacks are larger than they need be */
    }
    if (pthread_attr_init(&attributes) == 0) {
        (void)pthread_attr_setstacksize(&attributes, THREADS_STACK_SIZE);
        (void)pthread_setattr_default_np(&attributes);
        (void)pthread_attr_destroy(&attributes);
    }
    /* What libraries keep for each thread lies in its stack, too; ThreadSanitizer's is larger than ours. */
    if (!threads_can_start()) {
        (void)pthread_setattr_default_np(&before);
    }
    (void)pthread_attr_destroy(&before);
}

static void choose_policy(void)
{
    const struct sched_param no_priority = {.sched_priority = 0};

    if (sched_getscheduler(0) == SCHED_OTHER) {
        /* If it is refused, nothing but speed is lost. */
        (void)sched_setscheduler(0, SCHED_BATCH, &no_priority);
    }
}

void threads_prepare(void)
{
    choose_stack_size();
    choose_policy();
}
