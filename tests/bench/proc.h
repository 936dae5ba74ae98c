/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPU time and memory of another process. */
#ifndef TESTS_BENCH_PROC_H
#define TESTS_BENCH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_sample {
    uint64_t cpu_ns;  /* of all its threads, also of those that have ended */
    uint64_t user_ms; /* from /proc/PID/stat, in ticks of 10 ms: for the split only */
    uint64_t system_ms;
    uint64_t rss_anon_kib;
    uint64_t rss_file_kib; /* with shared memory: what is mapped, not the process's own */
    uint64_t rss_peak_kib; /* the kernel's own high-water mark of all of it */
    uint64_t threads;
};

/* False when the process is gone. */
bool proc_sample(pid_t pid, struct proc_sample *sample_out);

/* Keeps the largest memory and number of threads of both in peak. */
void proc_keep_peak(struct proc_sample *peak, const struct proc_sample *sample);

#endif
