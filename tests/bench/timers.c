/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/timers.h"

#include <stdlib.h>

static void swap(struct timer *a, struct timer *b)
{
    struct timer kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(struct timers *timers, size_t at)
{
    while (at > 0 && timers->heap[(at - 1) / 2].due_ns > timers->heap[at].due_ns) {
        swap(&timers->heap[(at - 1) / 2], &timers->heap[at]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct timers *timers, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < timers->count; child++)
            if (timers->heap[child].due_ns < timers->heap[least].due_ns)
                least = child;
        if (least == at)
            return;
        swap(&timers->heap[least], &timers->heap[at]);
        at = least;
    }
}

static void remove_at(struct timers *timers, size_t at)
{
    timers->heap[at] = timers->heap[--timers->count];
    if (at < timers->count) {
        sift_up(timers, at);
        sift_down(timers, at);
    }
}

void timers_add(struct timers *timers, uint64_t due_ns, void *what)
{
    if (timers->count == timers->size) {
        timers->size = timers->size == 0 ? 64 : timers->size * 2;
        timers->heap = realloc(timers->heap, timers->size * sizeof *timers->heap);
        if (timers->heap == NULL)
            abort();
    }
    timers->heap[timers->count] = (struct timer){due_ns, what};
    sift_up(timers, timers->count++);
}

bool timers_take(struct timers *timers, uint64_t now_ns, void **what_out)
{
    if (timers->count == 0 || timers->heap[0].due_ns > now_ns)
        return false;
    *what_out = timers->heap[0].what;
    remove_at(timers, 0);
    return true;
}

uint64_t timers_next(const struct timers *timers)
{
    return timers->count == 0 ? UINT64_MAX : timers->heap[0].due_ns;
}

void timers_remove(struct timers *timers, const void *what)
{
    for (size_t i = 0; i < timers->count; i++)
        if (timers->heap[i].what == what) {
            remove_at(timers, i);
            return;
        }
}

void timers_free(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}
