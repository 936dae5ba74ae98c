/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pattern_pcre2 - what pattern.c makes and pattern_match.c asks.
 */
#ifndef POSTERN_LIB_TABLE_PATTERN_PCRE2_H
#define POSTERN_LIB_TABLE_PATTERN_PCRE2_H

#include "lib/table/pattern.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdint.h>

struct pattern_engine {
    const char *notice; /* NULL: patterns become machine code */
    uint32_t groups;    /* of the pattern that has most */
    pthread_mutex_t lock;
    struct pattern_scratch *pool; /* and its count: under the lock */
    size_t pooled;
};

struct pattern {
    pcre2_code *code;
    uint32_t groups;
    bool is_machine_code;
    bool is_utf;
    bool is_anchored;
    bool is_divisible; /* asking from each byte on its own is the same as asking once */
};

struct pattern_scratch {
    struct pattern_scratch *next;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    pcre2_match_data *data; /* NULL: to be made */
    uint32_t pairs;         /* that fit into data */
    uint32_t groups;        /* of the pattern that was matched last */
    bool heavy;
    uint64_t own_spent;
    uint64_t *spent; /* nanoseconds that count against TIME_LIMIT_NS */
};

#endif
