/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_lists - the DNS lists of a configuration while they are in use: are they healthy, and what did they answer?
 *
 * One thread at a time probes (dns_lists_probe, dns_lists_tick); sessions of all threads ask for the state and count.
 */
#ifndef POSTERN_LIB_POLICY_DNS_LISTS_H
#define POSTERN_LIB_POLICY_DNS_LISTS_H

#include "lib/base/log.h"
#include "lib/dns/dns_latency.h"
#include "lib/dns/dnsbl.h"
#include "lib/dns/dnsbl_health.h"
#include "lib/dns/resolver.h"
#include "lib/policy/config_dns.h"

#include <stdatomic.h>

#define DNS_LISTS_SENSES (DNSBL_UNKNOWN + 1)

struct dns_list {
    const struct config_dnsbl *config;
    size_t number; /* its place among the lists */
    size_t zone_len;
    struct dnsbl_health *health;
    atomic_uint_least64_t asked;                    /* questions put for sessions */
    atomic_uint_least64_t senses[DNS_LISTS_SENSES]; /* what answers meant, by enum dnsbl_sense */
    struct dns_latency latency; /* of those answers that were asked of a server for a session */

    /* of who probes */
    int64_t next_probe;     /* dns_now(); 0: at once */
    int64_t probe_ends;     /* of the one under way */
    int64_t probed_at;      /* when the last one ended; 0: there was none */
    int64_t next_warning;   /* not before this the same thing is said again */
    int64_t next_error;     /* likewise, of answers that were errors */
    int64_t next_doubt;     /* before this, questions without an answer are no reason for a probe */
    int64_t next_suspicion; /* likewise, listings without an exception */
    uint64_t errors_told;
    uint64_t failures_seen;
    uint64_t clean_seen;
    uint64_t listed_seen;             /* when it last said "not listed", or was suspected */
    atomic_uint_least32_t last_error; /* the IPv4 address that was answered; 0: none, or no IPv4 */
};

struct dns_lists;

/* The lists of the configuration, which must outlive them. None of them was probed yet. */
struct dns_lists *dns_lists_new(const struct config_dns *config);
void dns_lists_free(struct dns_lists **lists);

size_t dns_lists_count(const struct dns_lists *lists);
struct dns_list *dns_lists_get(const struct dns_lists *lists, size_t index);

/* Lists that stay the same through a reload keep their state. */
void dns_lists_adopt(struct dns_lists *lists, const struct dns_lists *before);

/*
 * Probes all lists of which nothing is known, and waits for the answers, at most until the deadline: before sessions ask them for the
 * first time. Log lines say which are suspended; `logger` may be NULL.
 */
void dns_lists_probe(struct dns_lists *lists, struct resolver *resolver, struct logger *logger,
                     int64_t deadline);

/* Begins the probes that are due and ends those that are answered. To be called each second or so; never waits. */
void dns_lists_tick(struct dns_lists *lists, struct resolver *resolver, struct logger *logger,
                    int64_t now);

/* May the list decide now? One that fails its probe may not; what is not known yet neither. */
bool dns_list_is_usable(const struct dns_list *list);

/* Counts what an answer meant; `record` is what dnsbl_judge() gave. */
void dns_list_count(struct dns_list *list, enum dnsbl_sense sense, const struct dns_record *record);

#endif
