/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SECONDS 1.0
#define STEP_SECONDS 0.1
#define WIDTH 40
#define ERASE_LINE "\r\033[K"

void progress_init(struct progress *progress, const char *label)
{
    *progress = (struct progress){.label = label, .on_terminal = isatty(STDERR_FILENO) == 1};
    clock_gettime(CLOCK_MONOTONIC, &progress->begin);
}

double progress_seconds(const struct progress *progress)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - progress->begin.tv_sec) +
           (double)(now.tv_nsec - progress->begin.tv_nsec) / 1e9;
}

void progress_show(void *ctx, double fraction)
{
    struct progress *progress = ctx;
    char bar[WIDTH + 1];

    if (!progress->on_terminal) {
        return;
    }
    double seconds = progress_seconds(progress);

    if (seconds < FIRST_SECONDS || seconds - progress->last_shown < STEP_SECONDS) {
        return;
    }
    progress->last_shown = seconds;
    progress->shown = true;
    if (fraction < 0) {
        fprintf(stderr, ERASE_LINE "%s: %.0f s", progress->label, seconds);
    } else {
        size_t filled = (size_t)(fraction * WIDTH);

        memset(bar, '.', WIDTH);
        memset(bar, '#', filled > WIDTH ? WIDTH : filled);
        bar[WIDTH] = '\0';
        fprintf(stderr, ERASE_LINE "%s: [%s] %3.0f %%  %.0f s", progress->label, bar,
                fraction * 100, seconds);
    }
    fflush(stderr);
}

void progress_clear(struct progress *progress)
{
    if (progress->shown) {
        fputs(ERASE_LINE, stderr);
        fflush(stderr);
        progress->shown = false;
    }
}
