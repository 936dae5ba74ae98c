/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dns_zone - what a DNS server of the tests knows, and the messages that it makes of that. dns_kit.h describes the text.
 */
#ifndef POSTERN_TESTS_UNIT_DNS_ZONE_H
#define POSTERN_TESTS_UNIT_DNS_ZONE_H

#include "lib/dns/dns_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_ZONE_MESSAGE_MAX 65535

struct dns_zone;

/* A question, and the answer that is being made. */
struct dns_zone_reply {
    char name[DNS_NAME_TEXT_SIZE];
    char at[DNS_NAME_TEXT_SIZE]; /* where CNAMEs led */
    unsigned type;
    bool edns;
    unsigned udp_size;
    unsigned rcode;
    unsigned answers;
    unsigned authorities;
    unsigned delay_ms;
    bool silent;
    bool cut;
    bool soa;
    bool referral;
    bool oversize;
    size_t len;
    uint8_t message[DNS_ZONE_MESSAGE_MAX + 1024];
};

struct dns_zone *dns_zone_new(const char *text);
void dns_zone_free(struct dns_zone **zone);

/* Answers a question; false: it is none. All of `reply` must be zero. */
bool dns_zone_answer(const struct dns_zone *zone, const uint8_t *question, size_t len, bool tcp,
                     struct dns_zone_reply *reply);

#endif
