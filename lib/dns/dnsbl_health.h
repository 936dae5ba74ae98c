/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dnsbl_health - is a list to be believed? Asked of the list itself by the test entries of RFC 5782, section 5.
 *
 * A list of addresses has to list 127.0.0.2 and not 127.0.0.1; for IPv6 ::ffff:7f00:2 and not ::ffff:7f00:1; a list of
 * domains one name (TEST) and not another (INVALID). A zone that is gone lists nothing, one that was sold lists everything, and one that does not
 * serve us answers errors: none of them may decide about mail. One thread at a time probes; any may ask for the state.
 */
#ifndef POSTERN_LIB_DNS_DNSBL_HEALTH_H
#define POSTERN_LIB_DNS_DNSBL_HEALTH_H

#include "lib/base/strbuf.h"
#include "lib/dns/resolver.h"

#include <stdbool.h>

enum dnsbl_health_state {
    DNSBL_HEALTH_UNKNOWN, /* was not probed yet */
    DNSBL_HEALTH_GOOD,
    DNSBL_HEALTH_EMPTY,     /* does not list what it must: it is gone, or asked wrongly */
    DNSBL_HEALTH_LISTS_ALL, /* lists what it must not */
    DNSBL_HEALTH_REFUSES,   /* answers errors */
    DNSBL_HEALTH_SILENT,    /* does not answer, or its servers fail */
};

/* What to probe; strings must outlive the health. */
struct dnsbl_health_options {
    const char *zone;
    bool addresses;       /* it lists addresses */
    bool ipv6;            /* and IPv6 ones too */
    bool domains;         /* it lists domains */
    const char *listed;   /* a domain that it lists */
    const char *unlisted; /* and one that it does not */
    bool probe;           /* false: it is always believed */
    bool silence_counts;  /* it is asked while it is silent, too: about IPv6 no less than before */
};

struct dnsbl_health;

struct dnsbl_health *dnsbl_health_new(const struct dnsbl_health_options *options);
void dnsbl_health_free(struct dnsbl_health **health);

/* The state that another one has, for lists that live on. Not while either is probed. */
void dnsbl_health_copy(struct dnsbl_health *health, const struct dnsbl_health *from);

enum dnsbl_health_state dnsbl_health_state(const struct dnsbl_health *health);

/* May it be asked for IPv6 addresses? It passed its probe for these as well, the last one or that before which was not answered; where silence counts, the last one that was. */
bool dnsbl_health_has_ipv6(const struct dnsbl_health *health);

/* Is there a reason to probe it again soon: it fails, said nothing about IPv6, or could not be asked? By who probes. */
bool dnsbl_health_is_unsure(const struct dnsbl_health *health);

/* Puts the questions of a probe. */
void dnsbl_health_begin(struct dnsbl_health *health, struct resolver *resolver);

/* Is a probe under way? Are all its answers there? */
bool dnsbl_health_is_probing(const struct dnsbl_health *health);
bool dnsbl_health_is_answered(const struct dnsbl_health *health);

/* Waits for the answers. */
void dnsbl_health_wait(struct dnsbl_health *health, int64_t deadline);

/*
 * Ends the probe by what was answered until now, and sets the state. True: it is another one than before. A probe that could not be asked
 * (DNS_FAILURE_OVERLOAD, DOWN, STOPPED) changes nothing, unless it is the first.
 */
bool dnsbl_health_finish(struct dnsbl_health *health);

/* "good", "empty", ... */
const char *dnsbl_health_name(enum dnsbl_health_state state);

/* Appends a sentence about the state, such as "does not list 127.0.0.2 (2.0.0.127.bl.example: NXDOMAIN)". By who probes. */
void dnsbl_health_describe(const struct dnsbl_health *health, struct strbuf *out);

/* The same about IPv6, of a list that is GOOD and whose last probe asked about it. */
void dnsbl_health_describe_ipv6(const struct dnsbl_health *health, struct strbuf *out);

#endif
