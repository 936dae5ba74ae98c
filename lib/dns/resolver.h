/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resolver - questions to DNS that nobody waits for unless they want to.
 *
 * A program makes one. resolver_ask() returns at once; a thread of the resolver's own talks to the servers. Equal questions share one
 * answer, in flight and afterwards for as long as its TTL allows (RFC 2308 for what does not exist; failures some seconds).
 * Only DNS is asked, never a file of hosts, and each name as it stands: no search domain is ever put behind it.
 *
 * Servers that are silent are found out by a question that every server can answer at once. Until one answers again new questions fail
 * without waiting; what is cached still serves. All functions may be called by any thread, unless they say otherwise.
 */
#ifndef POSTERN_LIB_DNS_RESOLVER_H
#define POSTERN_LIB_DNS_RESOLVER_H

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/dns/dns_answer.h"
#include "lib/dns/dns_latency.h"
#include "lib/dns/dns_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVER_SERVERS_MAX 8

struct resolver;

struct resolver_options {
    const struct dns_server *servers; /* copied */
    size_t server_count;              /* 0: the system's, /etc/resolv.conf */
    unsigned timeout_ms;              /* in which each server was asked `tries` times; 0: 3000 */
    unsigned tries;                   /* 0: 2 */
    size_t cache_entries; /* answers kept; 0: 20000. Memory: 1 KiB each at most in sum */
    size_t in_flight;     /* questions at once; 0: 4096. What is beyond fails at once */
};

struct resolver_stats {
    uint64_t questions;    /* put to resolver_ask() */
    uint64_t cache_hits;   /* ... and answered from what was known */
    uint64_t shared;       /* ... that joined one in flight */
    uint64_t asked;        /* ... that went to a server */
    uint64_t refused_down; /* ... not asked, because servers are silent */
    uint64_t overload;     /* ... not asked, because too many were in flight */
    uint64_t found;        /* answers of servers, by what they say */
    uint64_t nodata;
    uint64_t nxdomain;
    uint64_t tempfails; /* timeouts among them */
    uint64_t timeouts;
    uint64_t downs; /* how often the servers fell silent */
    uint64_t in_flight;
    uint64_t cache_entries;
    uint64_t cache_bytes;
    uint64_t cache_evicted; /* that could have served longer */
    uint64_t latency_mean_us;
    uint64_t latency_p99_us;
    bool down; /* the servers are silent now */
    size_t server_count;
    struct dns_server servers[RESOLVER_SERVERS_MAX];
    bool silent[RESOLVER_SERVERS_MAX];
};

/*
 * Starts the thread. NULL: it cannot be, `why` says why. Log lines go to `logger` (NULL: none), which must outlive the resolver. Not to be
 * called by two threads at once.
 */
struct resolver *resolver_new(const struct resolver_options *options, struct logger *logger,
                              struct strbuf *why);

/*
 * A resolver without thread and network, for tests and golden sessions. `answer` says what is known: a result (which is taken over), or
 * NULL for a server that is silent. An answer is ready only after somebody waited for it, a silent one never; waiting takes no time.
 */
typedef struct dns_result *resolver_script(void *ctx, const char *name, enum dns_type type);
struct resolver *resolver_new_scripted(resolver_script *answer, void *ctx);

/*
 * Other servers and limits from now on; with no servers named, /etc/resolv.conf is read anew. Questions in flight are answered by the servers that
 * they were put to. What is cached is forgotten if the servers are not the same as before. STATUS_INVALID: they cannot be used, `why` says why, and the old ones stay.
 */
enum status resolver_configure(struct resolver *resolver, const struct resolver_options *options,
                               struct strbuf *why);

/*
 * Puts a question; the answer may be ready at once. The caller gives it back with dns_answer_unref(). The name is normalized here; one that
 * cannot be in DNS is answered DNS_NXDOMAIN. Never NULL; never waits.
 */
struct dns_answer *resolver_ask(struct resolver *resolver, const char *name, enum dns_type type)
    __attribute__((returns_nonnull));

/* One of several questions that are put together. */
struct resolver_question {
    const char *name; /* normalized; NULL: none */
    enum dns_type type;
    struct dns_answer *answer; /* NULL before; the caller gives it back */
};

/*
 * Puts those that have no answer yet, which costs far less than one by one. `send` false: only what is known already, or in flight, is
 * given. Returns how many are left without an answer: none with `send`.
 */
size_t resolver_ask_all(struct resolver *resolver, struct resolver_question *questions,
                        size_t count, bool send);

void resolver_stats(struct resolver *resolver, struct resolver_stats *out);

/* Ends the thread. What is in flight fails, and what is asked later fails at once; cached answers still serve. NULL is legal. */
void resolver_stop(struct resolver *resolver);

/* Stops it and gives its memory back, sets the caller's pointer to NULL. Nobody may use it any more; answers live on. NULL is legal. */
void resolver_free(struct resolver **resolver);

#endif
