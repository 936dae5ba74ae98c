/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROC_FILE_SIZE = 8192 };

static bool proc_read(pid_t pid, const char *name, char text_out[PROC_FILE_SIZE])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, text_out, PROC_FILE_SIZE - 1);
    close(fd);
    if (len <= 0)
        return false;
    text_out[len] = '\0';
    return true;
}

static uint64_t proc_field(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* The process clock counts in nanoseconds and keeps what ended threads have used; /proc/PID/schedstat knows one thread only. */
static bool proc_cpu(pid_t pid, uint64_t *cpu_ns_out)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return false;
    *cpu_ns_out = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    return true;
}

static bool proc_split(pid_t pid, struct proc_sample *sample_out)
{
    char text[PROC_FILE_SIZE];
    if (!proc_read(pid, "stat", text))
        return false;
    char *rest = strrchr(text, ')'); /* the name may hold blanks and brackets */
    unsigned long user;
    unsigned long system;
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user, &system) != 2)
        return false;
    unsigned long ticks = (unsigned long)sysconf(_SC_CLK_TCK);
    sample_out->user_ms = user * 1000 / ticks;
    sample_out->system_ms = system * 1000 / ticks;
    return true;
}

bool proc_sample(pid_t pid, struct proc_sample *sample_out)
{
    char text[PROC_FILE_SIZE];
    *sample_out = (struct proc_sample){0};
    if (!proc_cpu(pid, &sample_out->cpu_ns) || !proc_split(pid, sample_out) ||
        !proc_read(pid, "status", text))
        return false;
    sample_out->rss_anon_kib = proc_field(text, "\nRssAnon:");
    sample_out->rss_file_kib = proc_field(text, "\nRssFile:") + proc_field(text, "\nRssShmem:");
    sample_out->rss_peak_kib = proc_field(text, "\nVmHWM:");
    sample_out->threads = proc_field(text, "\nThreads:");
    return true;
}

void proc_keep_peak(struct proc_sample *peak, const struct proc_sample *sample)
{
    if (sample->rss_anon_kib > peak->rss_anon_kib)
        peak->rss_anon_kib = sample->rss_anon_kib;
    if (sample->rss_file_kib > peak->rss_file_kib)
        peak->rss_file_kib = sample->rss_file_kib;
    if (sample->rss_peak_kib > peak->rss_peak_kib)
        peak->rss_peak_kib = sample->rss_peak_kib;
    if (sample->threads > peak->threads)
        peak->threads = sample->threads;
}
