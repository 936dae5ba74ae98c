/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/table/prefilter.h"

#include "lib/base/xalloc.h"

#include <stdlib.h>

struct prefilter {
    size_t patterns;
};

struct prefilter *prefilter_new(const struct prefilter_pattern *patterns, size_t count)
{
    struct prefilter *prefilter = xcalloc(1, sizeof(*prefilter));

    for (size_t i = 0; i < count; i++) {
        prefilter->patterns += patterns[i].text != NULL;
    }
    return prefilter;
}

void prefilter_free(struct prefilter **prefilter)
{
    free(*prefilter);
    *prefilter = NULL;
}

void prefilter_start(struct prefilter *prefilter)
{
    (void)prefilter;
}

void prefilter_wait(struct prefilter *prefilter)
{
    (void)prefilter;
}

uint64_t *prefilter_scan(struct prefilter *prefilter, const char *subject, size_t len)
{
    (void)prefilter;
    (void)subject;
    (void)len;
    return NULL;
}

void prefilter_give_back(struct prefilter *prefilter, uint64_t **words)
{
    (void)prefilter;
    *words = NULL;
}

void prefilter_stats(const struct prefilter *prefilter, struct prefilter_stats *stats_out)
{
    *stats_out = (struct prefilter_stats){.patterns = prefilter->patterns};
}
