/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config_dns - the sections dns, dnsbl, enhdnsbl and helo of postern.conf(5).
 */
#ifndef POSTERN_LIB_POLICY_CONFIG_DNS_H
#define POSTERN_LIB_POLICY_CONFIG_DNS_H

#include "lib/base/diag.h"
#include "lib/dns/dns_server.h"
#include "lib/dns/dnsbl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lists that a configuration may name: each has a bit in a uint64_t. */
#define CONFIG_DNSBL_MAX 64u

/* What is looked up in a list; as bits. */
enum config_dns_lookup {
    DNS_LOOKUP_ADDRESS = 1u << 0, /* the client's address */
    DNS_LOOKUP_NAME = 1u << 1,    /* its verified name */
    DNS_LOOKUP_HELO = 1u << 2,
    DNS_LOOKUP_SENDER = 1u << 3, /* the domain of the envelope sender */
};

/* Clients for which a list is not asked; as bits. */
enum config_dns_exempt {
    DNS_EXEMPT_AUTHENTICATED = 1u << 0,
    DNS_EXEMPT_RELAY = 1u << 1, /* who may relay by address, name, login or certificate */
};

enum config_dns_action {
    DNS_ACTION_REJECT,
    DNS_ACTION_TEMPFAIL,
    DNS_ACTION_DISCARD,
    DNS_ACTION_QUARANTINE,
    DNS_ACTION_ALLOW, /* what is listed is spared the other lists */
};

/* One list. Strings are owned and never NULL. */
struct config_dnsbl {
    char *title;
    char *zone;               /* as it is asked */
    unsigned line;            /* where its section ends */
    unsigned lookups;         /* enum config_dns_lookup */
    unsigned exempt;          /* enum config_dns_exempt */
    struct dnsbl_match match; /* the answers that count */
    enum config_dns_action action;
    char *reply;          /* with %{words}, see dns_text.h; "": the default */
    char *tempfail_reply; /* 4xx, if the list cannot be asked; "": that is ignored */
    int weight;           /* 0: it decides alone; else this is added to the score */
    bool ipv6;            /* also for IPv6 clients */
    bool probe;           /* RFC 5782, 5 */
    char *probe_listed;   /* names asked by the probe of a list of domains */
    char *probe_unlisted;
};

enum config_dns_relay_mx {
    DNS_RELAY_MX_BEST, /* an MX host of the best preference has to be this host */
    DNS_RELAY_MX_ANY,  /* any of the MX hosts, as in Sendmail */
};

struct config_dns {
    struct dns_server *servers;
    size_t server_count; /* 0: the system's */
    unsigned timeout_ms;
    unsigned tries;
    size_t cache_entries;
    unsigned probe_seconds;
    bool answer_at_mail; /* else at the first RCPT */
    enum config_dns_relay_mx relay_mx;
    struct netaddr *bad_mx; /* networks in which no MX host may be (badmx) */
    size_t bad_mx_count;
    int score_threshold; /* 0: scores decide nothing */
    enum config_dns_action score_action;
    char *score_reply;
    bool helo_must_resolve;
    bool helo_refuse_own;
    struct config_dnsbl *lists; /* in the order of the file */
    size_t list_count;
};

void config_dns_free(struct config_dns *dns);

#endif
