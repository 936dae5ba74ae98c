/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_health - whether a server is silent.
 *
 * That one question stays without an answer says little: the name may belong to servers that are dead themselves. So a server that has
 * answered nothing for a while is asked what it can answer at once (a probe); if that too stays without an answer it is silent, until
 * it answers anything. Times are those of dns_now(). Plain values; not for use by two threads at once.
 */
#ifndef POSTERN_LIB_DNS_DNS_HEALTH_H
#define POSTERN_LIB_DNS_DNS_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds from one probe of a silent server to the next. */
#define DNS_HEALTH_PROBE_EVERY INT64_C(1000000000)

/* All zero is a server of which nothing is known, and which is trusted. */
struct dns_health {
    int64_t waiting_since; /* the first question since its last answer; 0: none */
    int64_t probed_at;
    bool probing;
    bool silent;
};

/* A question or probe went to it. */
void dns_health_sent(struct dns_health *health, int64_t now);
void dns_health_probe_sent(struct dns_health *health, int64_t now);

/* It answered, whatever that says. True: it was silent before. */
bool dns_health_answered(struct dns_health *health);

/* Is it to be probed now? `patience`: nanoseconds that an answer may take. */
bool dns_health_wants_probe(const struct dns_health *health, int64_t now, int64_t patience);

/* Lets time pass. True: it has become silent. */
bool dns_health_tick(struct dns_health *health, int64_t now, int64_t patience);

#endif
