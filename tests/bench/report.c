/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/report.h"

#include "tests/bench/protocol.h"

static double per_second(const struct report *report, uint64_t count)
{
    return report->seconds > 0 ? (double)count / report->seconds : 0;
}

static double cpu_us_per_message(const struct report *report)
{
    uint64_t messages = report->stats->messages;
    return messages == 0
               ? 0
               : (double)(report->after.cpu_ns - report->before.cpu_ns) / 1000.0 / (double)messages;
}

static double microseconds(const struct histogram *histogram, double percent)
{
    return (double)histogram_percentile(histogram, percent) / 1000.0;
}

static void text_latency(FILE *file, const char *name, const struct histogram *histogram)
{
    if (histogram->count == 0)
        return;
    fprintf(file, "  %-10s %10llu %10.0f %10.0f %10.0f %10.0f\n", name,
            (unsigned long long)histogram->count, microseconds(histogram, 50),
            microseconds(histogram, 90), microseconds(histogram, 99),
            (double)histogram->max / 1000.0);
}

static void text_process(const struct report *report, FILE *file)
{
    const struct proc_sample *before = &report->before;
    const struct proc_sample *after = &report->after;
    fprintf(file, "filter: %.2f us CPU a message (%.2f s: user %.2f, system %.2f)\n",
            cpu_us_per_message(report), (double)(after->cpu_ns - before->cpu_ns) / 1e9,
            (double)(after->user_ms - before->user_ms) / 1e3,
            (double)(after->system_ms - before->system_ms) / 1e3);
    fprintf(
        file,
        "  memory, KiB: own (RssAnon) %llu at first, %llu at last, %llu at most; mapped %llu at most; "
        "all %llu at most; threads at most %llu\n",
        (unsigned long long)before->rss_anon_kib, (unsigned long long)after->rss_anon_kib,
        (unsigned long long)report->peak.rss_anon_kib,
        (unsigned long long)report->peak.rss_file_kib,
        (unsigned long long)report->peak.rss_peak_kib, (unsigned long long)report->peak.threads);
}

void report_text(const struct report *report, FILE *file)
{
    const struct stats *stats = report->stats;
    fprintf(
        file,
        "%llu messages (%llu refused) in %llu sessions, %u connections, %.2f s: %.0f messages/s, "
        "%.0f commands/s, %llu errors\n",
        (unsigned long long)stats->messages, (unsigned long long)stats->messages_refused,
        (unsigned long long)stats->sessions, report->connections, report->seconds,
        per_second(report, stats->messages), per_second(report, stats->commands),
        (unsigned long long)stats->errors);
    if (report->has_process)
        text_process(report, file);
    fprintf(file, "generator: %.0f %% busy\n", 100 * report->own_cpu_seconds / report->seconds);
    fprintf(file, "  latency, us     count        p50        p90        p99        max\n");
    text_latency(file, "message", &stats->message);
    for (int i = 0; i < STAGE_COUNT; i++)
        text_latency(file, stage_name((enum stage)i), &stats->stage[i]);
    fprintf(file, "  answers:");
    for (int i = STAGE_CONNECT; i < STAGE_COUNT; i++)
        for (int letter = 0; letter < 256; letter++) {
            const char *name = protocol_reply_name((char)letter);
            if (stats->answer[i][letter] > 0)
                fprintf(file, " %s %s %llu;", stage_name((enum stage)i), name == NULL ? "?" : name,
                        (unsigned long long)stats->answer[i][letter]);
        }
    fputc('\n', file);
    for (int i = 0; i < STATS_MAX_TEXTS && stats->text[i].count > 0; i++)
        fprintf(file, "  %s %llu\n", stats->text[i].text, (unsigned long long)stats->text[i].count);
}

static void json_latency(FILE *file, const char *before, const char *name,
                         const struct histogram *histogram)
{
    fprintf(
        file,
        "%s\"%s\":{\"count\":%llu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
        before, name, (unsigned long long)histogram->count, microseconds(histogram, 50),
        microseconds(histogram, 90), microseconds(histogram, 99), (double)histogram->max / 1000.0);
}

static void json_answers(const struct stats *stats, FILE *file)
{
    fputs(",\n \"answers\":{", file);
    for (int i = STAGE_CONNECT; i < STAGE_COUNT; i++) {
        const char *comma = "";
        fprintf(file, "%s\"%s\":{", i == STAGE_CONNECT ? "" : ",", stage_name((enum stage)i));
        for (int letter = 0; letter < 256; letter++) {
            const char *name = protocol_reply_name((char)letter);
            if (stats->answer[i][letter] == 0)
                continue;
            fprintf(file, "%s\"%s\":%llu", comma, name == NULL ? "?" : name,
                    (unsigned long long)stats->answer[i][letter]);
            comma = ",";
        }
        fputc('}', file);
    }
    fputs("},\n \"replies\":{", file);
    for (int i = 0; i < STATS_MAX_TEXTS && stats->text[i].count > 0; i++)
        fprintf(file, "%s\"%s\":%llu", i == 0 ? "" : ",", stats->text[i].text,
                (unsigned long long)stats->text[i].count);
    fputc('}', file);
}

static void json_process(const struct report *report, FILE *file)
{
    const struct proc_sample *before = &report->before;
    const struct proc_sample *after = &report->after;
    fprintf(
        file,
        ",\n \"filter\":{\"cpu_us_per_message\":%.3f,\"cpu_s\":%.4f,\"user_s\":%.3f,\"system_s\":%.3f,",
        cpu_us_per_message(report), (double)(after->cpu_ns - before->cpu_ns) / 1e9,
        (double)(after->user_ms - before->user_ms) / 1e3,
        (double)(after->system_ms - before->system_ms) / 1e3);
    fprintf(file,
            "\"rss_anon_first_kib\":%llu,\"rss_anon_last_kib\":%llu,\"rss_anon_peak_kib\":%llu,",
            (unsigned long long)before->rss_anon_kib, (unsigned long long)after->rss_anon_kib,
            (unsigned long long)report->peak.rss_anon_kib);
    fprintf(file, "\"rss_file_peak_kib\":%llu,\"rss_peak_kib\":%llu,\"threads_peak\":%llu}",
            (unsigned long long)report->peak.rss_file_kib,
            (unsigned long long)report->peak.rss_peak_kib,
            (unsigned long long)report->peak.threads);
}

void report_json(const struct report *report, FILE *file)
{
    const struct stats *stats = report->stats;
    fprintf(
        file,
        "{\"version\":1,\"connections\":%u,\"seconds\":%.4f,\"sessions\":%llu,\"messages\":%llu,"
        "\"messages_refused\":%llu,\"commands\":%llu,\"errors\":%llu,\n \"messages_per_s\":%.2f,"
        "\"commands_per_s\":%.2f,\"generator_busy\":%.3f",
        report->connections, report->seconds, (unsigned long long)stats->sessions,
        (unsigned long long)stats->messages, (unsigned long long)stats->messages_refused,
        (unsigned long long)stats->commands, (unsigned long long)stats->errors,
        per_second(report, stats->messages), per_second(report, stats->commands),
        report->own_cpu_seconds / report->seconds);
    if (report->has_process)
        json_process(report, file);
    fputs(",\n \"latency\":{", file);
    json_latency(file, "", "message", &stats->message);
    for (int i = 0; i < STAGE_COUNT; i++)
        if (stats->stage[i].count > 0)
            json_latency(file, ",\n  ", stage_name((enum stage)i), &stats->stage[i]);
    fputc('}', file);
    json_answers(stats, file);
    fputs("}\n", file);
}
