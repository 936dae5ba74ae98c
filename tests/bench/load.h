/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The run: so many connections at once, each replaced when its session ends, until enough messages or time have passed. */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "tests/bench/report.h"
#include "tests/bench/session.h"

struct load_options {
    struct session_options session;
    unsigned connections;
    uint64_t messages; /* to measure; 0: until the seconds are over */
    double seconds;    /* 0: until the messages are through */
    uint64_t warmup;   /* messages before the measure begins */
    double ramp_ms;    /* between the first openings of two connections */
    double rate;       /* messages a second over all connections; 0: as fast as the answers come */
    double timeout_s;
    pid_t pid; /* of the filter; 0: unknown */
};

/* Runs it; the report's stats say whether there were errors. */
void load_run(const struct load_options *options, struct stats *stats, struct report *report_out);

#endif
