/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who connects and what is sent: invented, but the same for the same seed and the same number of the session,
 * in whatever order the sessions run.
 *
 * A share of the clients, senders and recipients comes from lists of given keys, each of which may say what answer
 * it must get; all others are names and addresses that no such list should hold (10.0.0.0/8, 2001:db8::/32, *.miss.test).
 */
#ifndef TESTS_BENCH_FACTS_H
#define TESTS_BENCH_FACTS_H

#include "tests/bench/header_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct facts_key {
    char *
        value; /* client: ADDRESS or ADDRESS NAME; sender and recipient: an address without brackets */
    char *
        expect; /* "continue", "reject", "tempfail", "discard", "quarantine", "accept", the start of a reply; NULL: anything */
};

struct facts_keys {
    struct facts_key *key;
    size_t count;
};

/* Reads lines "VALUE [TAB EXPECT]". False, and errno set, when the file cannot be read or holds nothing. */
bool facts_keys_read(struct facts_keys *keys, const char *path);
void facts_keys_free(struct facts_keys *keys);

struct facts_options {
    uint64_t seed;
    double hit_share; /* 0..1 of the clients, senders and recipients are taken from the lists */
    struct facts_keys clients; /* an empty list: none of them */
    struct facts_keys senders;
    struct facts_keys rcpts;
    const char *miss_expect;  /* what all others must get; NULL: anything */
    const char *local_domain; /* of the recipients that are not from a list */
    unsigned rcpt_count;
    unsigned header_count;
    struct header_file headers; /* if it holds messages: one of their headers in place of those */
    size_t body_size;
};

enum { FACTS_NAME_SIZE = 256, FACTS_ADDRESS_SIZE = 512 };

struct facts_client {
    char host[FACTS_NAME_SIZE]; /* as the MTA names it: [address] when it has no name */
    char ptr[FACTS_NAME_SIZE];
    char addr[FACTS_NAME_SIZE]; /* IPv6 with all groups, without a tag */
    char helo[FACTS_NAME_SIZE];
    const char *resolve; /* OK, FAIL, FORGED or TEMP */
    const char *expect;
    bool ipv6;
    uint16_t port;
};

struct facts_message {
    char queue_id[32];
    char sender[FACTS_ADDRESS_SIZE]; /* without brackets; empty: the null sender */
    const char *sender_expect;
    char rcpt[FACTS_ADDRESS_SIZE]; /* the present recipient */
    const char *rcpt_expect;
    bool rcpt_local;
    unsigned header_count;
    size_t first_header; /* in headers.field, if there is any */
    unsigned size;
};

struct facts_source {
    const struct facts_options *options;
    uint64_t state;
    uint64_t session;
    unsigned message;
};

void facts_start(struct facts_source *source, const struct facts_options *options,
                 uint64_t session);
void facts_client(struct facts_source *source, struct facts_client *client_out);
void facts_message(struct facts_source *source, struct facts_message *message_out);
void facts_rcpt(struct facts_source *source,
                struct facts_message *message); /* the next recipient */

/* Name of header number index, and all behind its colon, the blank included, in `room` or elsewhere. */
void facts_header(struct facts_source *source, const struct facts_message *message, unsigned index,
                  const char **name_out, const char **value_out, char room[FACTS_ADDRESS_SIZE]);

#endif
