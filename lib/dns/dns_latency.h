/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_latency - how long answers take: a small histogram that many threads add to without a lock.
 *
 * 64 classes, each a quarter wider than the one before, from 20 us to half a minute; percentiles are the upper end of a class.
 */
#ifndef POSTERN_LIB_DNS_DNS_LATENCY_H
#define POSTERN_LIB_DNS_DNS_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define DNS_LATENCY_CLASSES 64

/* All zero is empty. */
struct dns_latency {
    atomic_uint_least64_t count;
    atomic_uint_least64_t sum_us;
    atomic_uint_least64_t classes[DNS_LATENCY_CLASSES];
};

void dns_latency_add(struct dns_latency *latency, uint64_t us);

uint64_t dns_latency_count(const struct dns_latency *latency);

/* Microseconds; 0 if nothing was added. */
uint64_t dns_latency_mean(const struct dns_latency *latency);

/* The time that `percent` per cent of the answers did not exceed; 0 if nothing was added. */
uint64_t dns_latency_percentile(const struct dns_latency *latency, unsigned percent);

#endif
