/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_latency.h"

#include <stddef.h>

#define FIRST_END_US 20u

/* The upper end of a class; the last one has none. */
static uint64_t class_end(size_t step)
{
    uint64_t end = FIRST_END_US;

    for (; step > 0; step--) {
        end += end / 4;
    }
    return end;
}

static size_t class_of(uint64_t us)
{
    uint64_t end = FIRST_END_US;
    size_t step = 0;

    while (us > end && step < DNS_LATENCY_CLASSES - 1) {
        end += end / 4;
        step++;
    }
    return step;
}

void dns_latency_add(struct dns_latency *latency, uint64_t us)
{
    (void)atomic_fetch_add_explicit(&latency->classes[class_of(us)], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&latency->sum_us, us, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&latency->count, 1, memory_order_relaxed);
}

uint64_t dns_latency_count(const struct dns_latency *latency)
{
    return atomic_load_explicit(&latency->count, memory_order_relaxed);
}

uint64_t dns_latency_mean(const struct dns_latency *latency)
{
    uint64_t count = dns_latency_count(latency);

    return count == 0 ? 0 : atomic_load_explicit(&latency->sum_us, memory_order_relaxed) / count;
}

uint64_t dns_latency_percentile(const struct dns_latency *latency, unsigned percent)
{
    uint64_t counts[DNS_LATENCY_CLASSES];
    uint64_t all = 0;
    uint64_t seen = 0;

    for (size_t i = 0; i < DNS_LATENCY_CLASSES; i++) {
        counts[i] = atomic_load_explicit(&latency->classes[i], memory_order_relaxed);
        all += counts[i];
    }
    for (size_t i = 0; i < DNS_LATENCY_CLASSES && all > 0; i++) {
        seen += counts[i];
        if (seen * 100 >= all * percent) {
            return class_end(i);
        }
    }
    return 0;
}
