/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run of milterload counts: latencies, answers, errors. */
#ifndef TESTS_BENCH_STATS_H
#define TESTS_BENCH_STATS_H

#include <stdint.h>
#include <stdio.h>

enum stage {
    STAGE_NEGOTIATE,
    STAGE_CONNECT,
    STAGE_HELO,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_HEADER,
    STAGE_EOH,
    STAGE_BODY,
    STAGE_EOM,
    STAGE_COUNT
};

const char *stage_name(enum stage stage);

/* Latencies in nanoseconds: buckets of 1/32 of their value, so a percentile is at most 3 % off; the maximum is exact. */
enum { HISTOGRAM_BUCKETS = 64 * 32 };

struct histogram {
    uint64_t count;
    uint64_t max;
    uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

enum { STATS_MAX_TEXTS = 32, STATS_TEXT_SIZE = 48 };

struct stats_text {
    char text[STATS_TEXT_SIZE];
    uint64_t count;
};

struct stats {
    uint64_t sessions;
    uint64_t messages; /* that came to an end: answered at end of message, or refused before */
    uint64_t messages_refused; /* of these, refused at connect, HELO, MAIL or all recipients */
    uint64_t commands;
    uint64_t errors;
    struct histogram stage[STAGE_COUNT];
    struct histogram message; /* from MAIL to the last answer */
    uint64_t answer[STAGE_COUNT][256];
    struct stats_text text[STATS_MAX_TEXTS]; /* stage and start of replies with a text */
};

/* Forgets all but the errors: what came before the warm-up was over. */
void stats_restart(struct stats *stats);
void stats_count_text(struct stats *stats, enum stage stage, const char *reply);

/* Errors are told on stderr, the first few of them in full. */
void stats_error(struct stats *stats, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
