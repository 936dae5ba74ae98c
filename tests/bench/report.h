/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include "tests/bench/proc.h"
#include "tests/bench/session.h"

struct report {
    const struct session_options *options;
    const struct stats *stats;
    unsigned connections;
    double seconds;
    double own_cpu_seconds; /* of the generator: near 1 per second means that it was the brake */
    bool has_process;       /* the rest is about the filter */
    struct proc_sample before;
    struct proc_sample after;
    struct proc_sample peak;
};

void report_text(const struct report *report, FILE *file);
void report_json(const struct report *report, FILE *file);

#endif
