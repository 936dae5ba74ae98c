/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_answer - the answer to a question that was put, which may still be on its way.
 *
 * Counted: who was given one gives it back with dns_answer_unref(), ready or not; nobody need wait for it. Once ready it never
 * changes and may be read by any thread. It outlives the resolver that it came from.
 */
#ifndef POSTERN_LIB_DNS_DNS_ANSWER_H
#define POSTERN_LIB_DNS_DNS_ANSWER_H

#include "lib/dns/dns_result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_answer;
struct pool;

/* One more reference; returns its argument. */
struct dns_answer *dns_answer_ref(struct dns_answer *answer);

/* Gives one back and sets the caller's pointer to NULL. NULL is legal. */
void dns_answer_unref(struct dns_answer **answer);

/* What was asked; the name is normalized. */
const char *dns_answer_name(const struct dns_answer *answer);
enum dns_type dns_answer_type(const struct dns_answer *answer);

/* Takes no lock. */
bool dns_answer_is_ready(const struct dns_answer *answer);

/*
 * What it says; lives as long as the answer. One that is not ready says DNS_TEMPFAIL with DNS_FAILURE_TIMEOUT, so that who is done
 * with waiting decides as if time had run out everywhere. Never NULL.
 */
const struct dns_result *dns_answer_result(const struct dns_answer *answer)
    __attribute__((returns_nonnull));

/* Microseconds from the question to its answer; 0 if it was not asked of a server, or is not ready. */
uint64_t dns_answer_latency_us(const struct dns_answer *answer);

/* Nanoseconds of CLOCK_MONOTONIC, for deadlines. */
int64_t dns_now(void);

/* Waits until the answer is ready or dns_now() reaches the deadline. Ready? */
bool dns_answer_wait(struct dns_answer *answer, int64_t deadline);

/* The same for all of several; NULLs among them are skipped. True: all are ready. */
bool dns_answer_wait_all(struct dns_answer *const *answers, size_t count, int64_t deadline);

/* ---- for who answers ---- */

/* Has it more references than so many? It may have them by the time this returns. */
bool dns_answer_has_more_references(const struct dns_answer *answer, unsigned count);

/* A question that is not answered yet, with one reference; the name must be normalized. */
struct dns_answer *dns_answer_new(const char *name, enum dns_type type)
    __attribute__((returns_nonnull));

/* The same in a block of such a pool, which may be closed before the answer is gone. `pool` NULL: memory of its own. */
struct pool *dns_answer_pool(void) __attribute__((returns_nonnull));
struct dns_answer *dns_answer_new_in(struct pool *pool, const char *name, enum dns_type type)
    __attribute__((returns_nonnull));

/*
 * One that becomes ready when somebody waits for it; takes the result over. NULL: it never does, and who waits is told at once. For
 * programs that know the answers.
 */
struct dns_answer *dns_answer_new_scripted(const char *name, enum dns_type type,
                                           struct dns_result *result)
    __attribute__((returns_nonnull));

/* Makes it ready and wakes who waits; takes the result over. To be called once. */
void dns_answer_complete(struct dns_answer *answer, struct dns_result *result, uint64_t latency_us);

#endif
