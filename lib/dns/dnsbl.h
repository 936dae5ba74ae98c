/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dnsbl - what the answer of a DNS list means (RFC 5782).
 *
 * A listing is an A record in 127.0.0.0/8. All else is no listing but an error of the list: an address outside of it (a zone
 * that was sold, a provider who answers for names that do not exist), 127.0.0.1, and 127.255.255.0/24, by which lists say that they do
 * not serve who asks. Values, no I/O, safe for threads.
 */
#ifndef POSTERN_LIB_DNS_DNSBL_H
#define POSTERN_LIB_DNS_DNSBL_H

#include "lib/dns/dns_result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses from first to last, in host order. */
struct dnsbl_range {
    uint32_t first;
    uint32_t last;
};

/* The answers that count; none named: every listing. */
struct dnsbl_match {
    struct dnsbl_range *ranges;
    size_t count;
};

enum dnsbl_sense {
    DNSBL_CLEAN,   /* not listed, or by other answers than those that count */
    DNSBL_LISTED,  /* an answer counts */
    DNSBL_ERROR,   /* the list is broken, or does not serve us */
    DNSBL_UNKNOWN, /* it could not be asked */
};

/*
 * Reads "127.0.0.2", "127.0.0.2-127.0.0.11", "127.0.1.0/24", each with or without a dot at its end. False if it is none of these;
 * *usable_out: it lies where listings are.
 */
bool dnsbl_range_parse(const char *text, struct dnsbl_range *out, bool *usable_out);

/*
 * The meaning of an answer. *record_out is the record that says so (LISTED, ERROR; of LISTED the first that counts; of CLEAN one that does not
 * count, or NULL); may be NULL.
 */
enum dnsbl_sense dnsbl_judge(const struct dns_result *result, const struct dnsbl_match *match,
                             const struct dns_record **record_out);

#endif
