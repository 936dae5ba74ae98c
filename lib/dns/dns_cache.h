/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_cache - answers by question: those in flight, and those that may still serve.
 *
 * What was used longest ago goes first when there are too many, or too many bytes. Questions in flight are never dropped and do not
 * count. Not for use by two threads at once.
 */
#ifndef POSTERN_LIB_DNS_DNS_CACHE_H
#define POSTERN_LIB_DNS_DNS_CACHE_H

#include "lib/dns/dns_answer.h"

#include <stddef.h>
#include <stdint.h>

struct dns_cache;

struct dns_cache_stats {
    size_t entries; /* without those in flight */
    size_t bytes;
    uint64_t evicted; /* that could have served longer */
};

/* An empty cache; names of clients' choice are hashed with `seed`. */
struct dns_cache *dns_cache_new(uint64_t seed);

/* Gives back all answers, and sets the caller's pointer to NULL. NULL is legal. */
void dns_cache_free(struct dns_cache **cache);

/* How much it may hold; what is too much goes at once. */
void dns_cache_limit(struct dns_cache *cache, size_t entries, size_t bytes);

/* Forgets all that is answered; what is in flight is forgotten as soon as it is. */
void dns_cache_clear(struct dns_cache *cache);

/* The answer to that question, in flight or still good at `now` (dns_now()), or NULL. The name is normalized. Not a new reference. */
struct dns_answer *dns_cache_find(struct dns_cache *cache, const char *name, enum dns_type type,
                                  int64_t now);

/* Takes a reference of a question in flight; there must be none for the same question. */
void dns_cache_add(struct dns_cache *cache, struct dns_answer *answer);

/* It is answered, and may serve until `expires`; not at all if that is not after `now`. */
void dns_cache_settle(struct dns_cache *cache, struct dns_answer *answer, int64_t now,
                      int64_t expires);

struct dns_cache_stats dns_cache_stats(const struct dns_cache *cache);

#endif
