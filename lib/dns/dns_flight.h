/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_flight - questions on their way: which server is asked, when again, and when to give up.
 *
 * Servers are asked in the order of configuration, silent ones left out. A server that does not answer is asked again, or the next one
 * is, each `timeout_ms` / (servers * tries); all were asked `tries` times when the timeout is over. One that refuses or fails is not asked again. A question
 * lives half as long again as the timeout, because a late answer is good for the next who asks; unless all servers are silent. For one thread.
 */
#ifndef POSTERN_LIB_DNS_DNS_FLIGHT_H
#define POSTERN_LIB_DNS_DNS_FLIGHT_H

#include "lib/base/log.h"
#include "lib/dns/dns_answer.h"
#include "lib/dns/dns_transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_flight;

struct dns_flight_options {
    struct dns_server servers[DNS_TRANSPORT_SERVERS_MAX];
    size_t server_count;
    unsigned timeout_ms;
    unsigned tries;
};

/* What the owner is told. Neither may call the flight. */
struct dns_flight_events {
    void *ctx;
    /* A question has its answer: `result` is taken over; 0 microseconds if no server said it. */
    void (*answered)(void *ctx, struct dns_answer *answer, struct dns_result *result,
                     uint64_t latency_us);
    /* These servers (as bits) are silent now; they are all that there are. */
    void (*silence)(void *ctx, unsigned silent, bool all);
};

/* No servers yet. NULL: it cannot be, `why` says why. `events` is copied; `wake_fd` ends dns_flight_run(). */
struct dns_flight *dns_flight_new(int wake_fd, const struct dns_flight_events *events,
                                  struct logger *logger, struct strbuf *why);

/* What is in flight fails with DNS_FAILURE_STOPPED. Sets the caller's pointer to NULL; NULL is legal. */
void dns_flight_free(struct dns_flight **flight);

/* For what is asked from now on. */
void dns_flight_configure(struct dns_flight *flight, const struct dns_flight_options *options);

/* Sends a question; `answered` is told with this handle, of which it is up to the owner to keep a reference. */
void dns_flight_ask(struct dns_flight *flight, struct dns_answer *answer);

/*
 * Ends questions that nobody waits for any more, the oldest first, `count` at most: those whose handle has no more than so many
 * references, that of the flight among them.
 */
void dns_flight_shed(struct dns_flight *flight, size_t count, unsigned references);

/* Waits for what happens next. True: `wake_fd` can be read. */
bool dns_flight_run(struct dns_flight *flight);

#endif
