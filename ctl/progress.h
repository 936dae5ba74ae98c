/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * progress - a bar on a terminal for work that takes longer than a second.
 */
#ifndef POSTERN_CTL_PROGRESS_H
#define POSTERN_CTL_PROGRESS_H

#include <stdbool.h>
#include <time.h>

struct progress {
    const char *label;
    bool on_terminal;
    bool shown;
    struct timespec begin;
    double last_shown; /* seconds since begin */
};

/* Begins now. Nothing is ever shown if standard error is no terminal. `label` must outlive it. */
void progress_init(struct progress *progress, const char *label);

/* What is done, 0 to 1; below 0 if the whole is not known. `progress` is a struct progress: for mapfile_job. */
void progress_show(void *progress, double fraction);

/* Takes the bar off the terminal; before anything else is printed. */
void progress_clear(struct progress *progress);

/* Seconds since the begin. */
double progress_seconds(const struct progress *progress);

#endif
