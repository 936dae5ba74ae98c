/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The numbers and letters of the milter protocol, version 6, as mfdef.h of libmilter lists them. */
#ifndef TESTS_BENCH_PROTOCOL_H
#define TESTS_BENCH_PROTOCOL_H

#include "tests/bench/macros.h"
#include "tests/bench/stats.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PROTOCOL_VERSION = 6,
    PROTOCOL_ACTIONS = 0x1ff,  /* all of SMFIF_* */
    PROTOCOL_STEPS = 0x1fffff, /* all of SMFIP_* */
    PROTOCOL_SKIP = 0x400,     /* SMFIP_SKIP */
    PROTOCOL_BLANK = 0x100000, /* SMFIP_HDR_LEADSPC */
    PROTOCOL_BODY_CHUNK = 65535
};

/* Replies. */
enum {
    REPLY_CONTINUE = 'c',
    REPLY_ACCEPT = 'a',
    REPLY_REJECT = 'r',
    REPLY_TEMPFAIL = 't',
    REPLY_DISCARD = 'd',
    REPLY_CODE = 'y',
    REPLY_SKIP = 's',
    REPLY_PROGRESS = 'p',
    REPLY_QUARANTINE = 'q'
};

struct protocol_step {
    char command;
    uint32_t off;      /* SMFIP_NO...: the filter does not want it */
    uint32_t no_reply; /* SMFIP_NR_...: the filter does not answer it */
    int macros;        /* enum macro_stage, or -1 */
};

const struct protocol_step *protocol_step(enum stage stage);

/* The action (SMFIF_*) that a filter must have asked for to send this letter at end of message; 0: not such a letter. */
uint32_t protocol_action(char letter);

/* "reject" for 'r', and so on; NULL: no letter of the protocol. */
const char *protocol_reply_name(char letter);

/* Whether data is what a REPLYCODE may carry: lines of "ddd text", "ddd-text" before the last, one NUL at the end. */
bool protocol_reply_valid(const char *data, size_t len);

#endif
