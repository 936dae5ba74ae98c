/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is to happen later, earliest first: a binary heap. */
#ifndef TESTS_BENCH_TIMERS_H
#define TESTS_BENCH_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t due_ns;
    void *what;
};

struct timers {
    struct timer *heap;
    size_t count;
    size_t size;
};

void timers_add(struct timers *timers, uint64_t due_ns, void *what);
bool timers_take(struct timers *timers, uint64_t now_ns,
                 void **what_out);                 /* false: nothing is due */
uint64_t timers_next(const struct timers *timers); /* UINT64_MAX: none */
void timers_remove(struct timers *timers, const void *what);
void timers_free(struct timers *timers);

#endif
