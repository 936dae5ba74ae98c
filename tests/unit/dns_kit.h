/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_kit - a DNS server on 127.0.0.1 for tests, over UDP and TCP, that does as its zone says.
 *
 * A zone is lines of `NAME [TTL] TYPE VALUE` (# begins a comment): A, AAAA, PTR, CNAME, `MX 10 host` (host "." is a null MX), `TXT "text"`. A name of
 * the zone without that type is NODATA, any other NXDOMAIN, both with an SOA record; CNAMEs are followed inside the zone. Further
 * types say how the name is answered, whatever is asked: SERVFAIL, REFUSED, FORMERR (to EDNS only), NOSOA (a negative answer
 * without SOA), REFERRAL, GARBAGE (cut in the middle of a record), SILENT, OVERSIZE (over UDP too, whatever fits), `DELAY ms`, `MANY n` (n records of the type that is asked, A, TXT or MX). `*` stands for
 * every name that is not there.
 */
#ifndef POSTERN_TESTS_UNIT_DNS_KIT_H
#define POSTERN_TESTS_UNIT_DNS_KIT_H

#include "lib/dns/resolver.h"

#include <stdbool.h>

struct dns_kit;

/* Starts a server with a zone (copied). Ends the test program if it cannot. */
struct dns_kit *dns_kit_start(const char *zone);

/* The same on ::1. NULL: this system has no IPv6. */
struct dns_kit *dns_kit_start_ipv6(const char *zone);

/* Ends it and sets the caller's pointer to NULL. */
void dns_kit_stop(struct dns_kit **kit);

/* Where it listens. */
struct dns_server dns_kit_server(const struct dns_kit *kit);

/* A resolver that asks this server, else as `options` say; the caller's. Ends the test program if there can be none. */
struct resolver *dns_kit_resolver(const struct dns_kit *kit,
                                  const struct resolver_options *options);

/* From now on the resolver asks this server. As dns_kit_resolver(). */
void dns_kit_take_over(const struct dns_kit *kit, struct resolver *resolver,
                       const struct resolver_options *options);

/* From now on nothing is answered, or again. */
void dns_kit_silence(struct dns_kit *kit, bool silent);

/* Messages that came so far, answered or not; but those for the root (probes), which are counted alone. */
unsigned dns_kit_questions(struct dns_kit *kit);
unsigned dns_kit_tcp_questions(struct dns_kit *kit);
unsigned dns_kit_probes(struct dns_kit *kit);

#endif
