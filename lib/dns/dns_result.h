/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_result - what the answer to one question says. Immutable once made, one piece of memory.
 */
#ifndef POSTERN_LIB_DNS_DNS_RESULT_H
#define POSTERN_LIB_DNS_DNS_RESULT_H

#include "lib/mail/netaddr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of DNS. */
enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

enum dns_status {
    DNS_FOUND,    /* there are records */
    DNS_NODATA,   /* the name exists, but has no record of this type */
    DNS_NXDOMAIN, /* there is no such name */
    DNS_TEMPFAIL, /* it cannot be known now; never to be taken for "no such record" */
};

/* Why a question ended in DNS_TEMPFAIL. */
enum dns_failure {
    DNS_FAILURE_NONE,
    DNS_FAILURE_TIMEOUT,     /* no server answered in time */
    DNS_FAILURE_DOWN,        /* not asked: the servers have just been silent */
    DNS_FAILURE_UNREACHABLE, /* the system refused to send, or nobody listens there */
    DNS_FAILURE_SERVFAIL,    /* the server could not find out (also a DNSSEC failure) */
    DNS_FAILURE_REFUSED,     /* the server does not serve us, or not this name */
    DNS_FAILURE_MALFORMED,   /* the answer cannot be read */
    DNS_FAILURE_LOOP,        /* CNAMEs lead in a circle, or are too many */
    DNS_FAILURE_OVERLOAD,    /* too many questions are in flight */
    DNS_FAILURE_STOPPED,     /* the resolver ended */
};

/* Most records of one answer that are kept; of MX those with the lowest preference. */
#define DNS_RECORDS_MAX 64

/* Most bytes of text of one answer that are kept; what does not fit is dropped whole, and `cut` is set. */
#define DNS_TEXT_MAX 8192

struct dns_record {
    uint16_t preference; /* MX */
    struct netaddr addr; /* A, AAAA; IPv4-mapped AAAA are IPv4 addresses */
    /*
     * MX, PTR, CNAME: the name in lower case without the last dot ("" is the root: a null MX has it), odd bytes as `\DDD`. TXT: its strings
     * joined, any byte but NUL (which becomes "?"). A, AAAA: "".
     */
    const char *text;
};

struct dns_result {
    enum dns_status status;
    enum dns_failure failure;
    uint32_t ttl;     /* seconds that it may be kept, as the server says; 0: not at all */
    const char *name; /* where CNAMEs led; the name that was asked if there were none */
    unsigned cnames;  /* how many */
    size_t count;     /* records; 0 unless DNS_FOUND */
    bool cut;         /* there were more than are kept */
    size_t bytes;     /* memory that this takes */
    const struct dns_record *records; /* MX: lowest preference first; others as they came */
};

/* A result without records; free() it. */
struct dns_result *dns_result_failure(enum dns_failure failure, uint32_t ttl)
    __attribute__((returns_nonnull));

/* A result of copies; `records` are taken as they are, texts are copied. free() it. */
struct dns_result *dns_result_new(const struct dns_result *from) __attribute__((returns_nonnull));

/*
 * Seconds that it is kept: as the server says, but what exists at most a day, what does not at most an hour (RFC 2308 5), a failure five
 * seconds (7.1); one that says nothing of the name not at all.
 */
uint32_t dns_result_lifetime(const struct dns_result *result);

/* "found", "nodata", "nxdomain", "tempfail". */
const char *dns_status_name(enum dns_status status);

/* "timeout", "down", "servfail", ...; of DNS_FAILURE_NONE "". */
const char *dns_failure_name(enum dns_failure failure);

/* "A", "MX", ... */
const char *dns_type_name(enum dns_type type);

#endif
