/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/threads.h"

#include <pthread.h>
#include <sched.h>

static void choose_stack_size(void)
{
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) != 0) {
        return;
    }
    if (pthread_attr_setstacksize(&attributes, THREADS_STACK_SIZE) == 0) {
        /* If it is refused, stacks are larger than they need be. */
        (void)pthread_setattr_default_np(&attributes);
    }
    (void)pthread_attr_destroy(&attributes);
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
