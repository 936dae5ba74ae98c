/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_inbox.h"

#include "lib/base/thread.h"

void relay_inbox_init(struct relay_inbox *inbox)
{
    *inbox = (struct relay_inbox){.has_thread = false};
    inbox->last = &inbox->first;
    (void)pthread_mutex_init(&inbox->mutex, NULL);
    thread_cond_init(&inbox->wake);
}

void relay_inbox_fini(struct relay_inbox *inbox)
{
    (void)pthread_cond_destroy(&inbox->wake);
    (void)pthread_mutex_destroy(&inbox->mutex);
}

bool relay_inbox_start(struct relay_inbox *inbox, void *(*run)(void *ctx), void *ctx)
{
    inbox->has_thread = thread_start(&inbox->thread, run, ctx) == 0;
    return inbox->has_thread;
}

void relay_inbox_stop(struct relay_inbox *inbox)
{
    if (!inbox->has_thread) {
        return;
    }
    (void)pthread_mutex_lock(&inbox->mutex);
    inbox->must_stop = true;
    (void)pthread_cond_signal(&inbox->wake);
    (void)pthread_mutex_unlock(&inbox->mutex);
    (void)pthread_join(inbox->thread, NULL);
    inbox->has_thread = false;
}

void relay_inbox_put(struct relay_inbox *inbox, struct relay_change *changes)
{
    struct relay_change *last = changes;

    while (last->next != NULL) {
        last = last->next;
    }
    (void)pthread_mutex_lock(&inbox->mutex);
    *inbox->last = changes;
    inbox->last = &last->next;
    (void)pthread_cond_signal(&inbox->wake);
    (void)pthread_mutex_unlock(&inbox->mutex);
}

void relay_inbox_wake(struct relay_inbox *inbox)
{
    (void)pthread_mutex_lock(&inbox->mutex);
    inbox->must_look = true;
    (void)pthread_cond_signal(&inbox->wake);
    (void)pthread_mutex_unlock(&inbox->mutex);
}

bool relay_inbox_take(struct relay_inbox *inbox, const struct timespec *until,
                      struct relay_change **changes_out)
{
    (void)pthread_mutex_lock(&inbox->mutex);
    while (inbox->first == NULL && !inbox->must_look && !inbox->must_stop &&
           pthread_cond_timedwait(&inbox->wake, &inbox->mutex, until) == 0) {
    }
    *changes_out = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    inbox->must_look = false;
    bool ends = inbox->must_stop && *changes_out == NULL;

    (void)pthread_mutex_unlock(&inbox->mutex);
    return !ends;
}
