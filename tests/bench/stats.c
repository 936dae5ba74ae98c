/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/stats.h"

#include <stdarg.h>
#include <string.h>

enum { HISTOGRAM_SUB_BITS = 5, STATS_MAX_TOLD = 10 };

static const char *const stage_names[STAGE_COUNT] = {
    "negotiate", "connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom",
};

const char *stage_name(enum stage stage)
{
    return stage_names[stage];
}

static unsigned histogram_index(uint64_t value)
{
    if (value < (1u << HISTOGRAM_SUB_BITS))
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) +
           (unsigned)((value >> shift) & ((1u << HISTOGRAM_SUB_BITS) - 1));
}

static uint64_t histogram_value(unsigned index)
{
    if (index < (1u << HISTOGRAM_SUB_BITS))
        return index;
    unsigned shift = (index >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t base = (1u << HISTOGRAM_SUB_BITS) + (index & ((1u << HISTOGRAM_SUB_BITS) - 1));
    return (base << shift) + ((1ull << shift) >> 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->bucket[histogram_index(value)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    uint64_t rank = (uint64_t)((double)histogram->count * percent / 100.0);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen > rank) {
            uint64_t value = histogram_value(i);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

void stats_restart(struct stats *stats)
{
    uint64_t errors = stats->errors;
    memset(stats, 0, sizeof *stats);
    stats->errors = errors;
}

/* Keeps "stage: 550 5.7.1"; texts beyond the table's size are counted in the answers only. */
void stats_count_text(struct stats *stats, enum stage stage, const char *reply)
{
    char key[STATS_TEXT_SIZE];
    int codes = 0; /* the reply code and, when there is one, the enhanced code after it */
    while (reply[codes] != '\0' && codes < 14 && strchr("0123456789. -", reply[codes]) != NULL)
        codes++;
    while (codes > 0 && strchr(" -", reply[codes - 1]) != NULL)
        codes--;
    snprintf(key, sizeof key, "%s: %.*s", stage_name(stage), codes, reply);
    for (int i = 0; i < STATS_MAX_TEXTS; i++) {
        struct stats_text *entry = &stats->text[i];
        if (entry->count == 0)
            memcpy(entry->text, key, sizeof key);
        else if (strcmp(entry->text, key) != 0)
            continue;
        entry->count++;
        return;
    }
}

void stats_error(struct stats *stats, const char *format, ...)
{
    if (++stats->errors > STATS_MAX_TOLD)
        return;
    va_list args;
    va_start(args, format);
    fputs("milterload: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    if (stats->errors == STATS_MAX_TOLD)
        fputs("milterload: further errors are counted only\n", stderr);
}
