/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * regexbench: what it costs to ask a file of patterns, with and without the prefilter, on subjects of a file. Both must find the same.
 */
#include "lib/base/arena.h"
#include "lib/base/diag.h"
#include "lib/table/prefilter.h"
#include "lib/table/table_regex.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage_text[] =
    "usage: regexbench --patterns FILE --subjects FILE [options]\n"
    "  FILE of subjects: one a line; a line that begins with a blank continues the one before\n"
    "  --rounds N         of which the fastest counts (5)\n"
    "  --linear-rounds N  without the prefilter (2); 0: not at all\n"
    "  --json\n";

struct options {
    const char *patterns;
    const char *subjects;
    unsigned rounds;
    unsigned linear_rounds;
    bool json;
};

struct subjects {
    struct strbuf *at;
    size_t count;
    size_t bytes;
};

struct figures {
    double load_ms;    /* reading the file, compiling for PCRE2, taking note of words */
    double memory_kib; /* of it all, with the database */
    double scan_ns, linear_ns;
    double named;   /* patterns that PCRE2 is asked for, a subject */
    size_t matched; /* subjects */
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "regexbench: %s: %s\n", what, why);
    exit(1);
}

static double now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double memory_kib(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    double kib = 0;

    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            kib = strtod(line + 8, NULL);
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kib;
}

static void read_subjects(struct subjects *subjects, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    if (file == NULL) {
        die(path, strerror(errno));
    }
    while ((len = getline(&line, &size, file)) > 0) {
        len -= line[len - 1] == '\n';
        if (subjects->count > 0 && (line[0] == ' ' || line[0] == '\t')) {
            strbuf_append_char(&subjects->at[subjects->count - 1], '\n');
        } else if ((subjects->count & (subjects->count - 1)) == 0) {
            size_t room = subjects->count == 0 ? 1 : subjects->count * 2;

            subjects->at = realloc(subjects->at, room * sizeof(*subjects->at));
            if (subjects->at == NULL) {
                die(path, strerror(errno));
            }
        }
        if (subjects->count == 0 || (line[0] != ' ' && line[0] != '\t')) {
            strbuf_init(&subjects->at[subjects->count++]);
        }
        strbuf_append_len(&subjects->at[subjects->count - 1], line, (size_t)len);
        subjects->bytes += (size_t)len;
    }
    free(line);
    fclose(file);
    if (subjects->count == 0) {
        die(path, "no subjects");
    }
}

/* CPU nanoseconds of a subject. */
static double time_round(const struct table_regex *table, const struct subjects *subjects,
                         bool linear, unsigned *lines_out)
{
    struct arena *arena = arena_new();
    double begun = now_ns(CLOCK_THREAD_CPUTIME_ID);

    for (size_t i = 0; i < subjects->count; i++) {
        const struct regex_query query = {.subject = subjects->at[i].data,
                                          .len = subjects->at[i].len,
                                          .arena = arena,
                                          .linear = linear};
        struct regex_match match;

        table_regex_find(table, &query, &match);
        lines_out[i] = match.status == STATUS_OK ? match.place.line : 0;
        if (match.status == STATUS_TEMPFAIL) {
            die(query.subject, match.why);
        }
        arena_reset(arena);
    }
    double spent = now_ns(CLOCK_THREAD_CPUTIME_ID) - begun;

    arena_free(&arena);
    return spent / (double)subjects->count;
}

static double fastest(const struct table_regex *table, const struct subjects *subjects, bool linear,
                      unsigned rounds, unsigned *lines_out)
{
    double best = 0;

    for (unsigned i = 0; i < rounds; i++) {
        double spent = time_round(table, subjects, linear, lines_out);

        best = i == 0 || spent < best ? spent : best;
    }
    return best;
}

static double count_named(const struct table_regex *table, const struct subjects *subjects)
{
    struct prefilter *prefilter = table_regex_prefilter(table);
    struct prefilter_stats stats;
    unsigned long named = 0;

    prefilter_stats(prefilter, &stats);
    for (size_t i = 0; i < subjects->count; i++) {
        const struct sparse_bits *found = prefilter_scan(prefilter, subjects->at[i].data,
                                                         subjects->at[i].len);

        if (found == NULL) {
            return (double)stats.patterns;
        }
        for (size_t j = 0; (j = sparse_bits_next(found, j)) < found->limit; j++) {
            named++;
        }
        prefilter_give_back(prefilter, &found);
    }
    return (double)named / (double)subjects->count;
}

static struct table_regex *load(const char *path, struct figures *figures)
{
    struct diag diag;
    double memory = memory_kib();
    double begun = now_ns(CLOCK_MONOTONIC);

    diag_init(&diag, diag_to_stream, stderr);
    struct table_regex *table = table_regex_open("patterns", path, &regex_dialect_postfix, &diag);

    if (table == NULL || diag.errors > 0) {
        die(path, "it has errors");
    }
    figures->load_ms = (now_ns(CLOCK_MONOTONIC) - begun) / 1e6;
    table_regex_prepare(table);
    prefilter_wait(table_regex_prefilter(table));
    figures->memory_kib = memory_kib() - memory;
    return table;
}

static void measure(const struct options *options, const struct table_regex *table,
                    const struct subjects *subjects, struct figures *figures)
{
    unsigned *lines = calloc(subjects->count, sizeof(*lines));
    unsigned *linear = calloc(subjects->count, sizeof(*linear));

    if (lines == NULL || linear == NULL) {
        die("memory", strerror(errno));
    }
    figures->scan_ns = fastest(table, subjects, false, options->rounds, lines);
    figures->linear_ns = fastest(table, subjects, true, options->linear_rounds, linear);
    figures->named = count_named(table, subjects);
    for (size_t i = 0; i < subjects->count; i++) {
        figures->matched += lines[i] > 0;
        if (options->linear_rounds > 0 && lines[i] != linear[i]) {
            die(subjects->at[i].data, "found otherwise without the prefilter");
        }
    }
    free(lines);
    free(linear);
}

static void print_json(const struct prefilter_stats *stats, const struct subjects *subjects,
                       const struct figures *figures)
{
    printf("{\"patterns\":%zu,\"by_words\":%zu,\"by_database\":%zu,\"subjects\":%zu,",
           stats->patterns, stats->by_words, stats->by_database, subjects->count);
    printf("\"subject_bytes\":%.1f,\"matched\":%zu,\"load_ms\":%.1f,\"compile_ms\":%lu,",
           (double)subjects->bytes / (double)subjects->count, figures->matched, figures->load_ms,
           stats->compile_ms);
    printf("\"memory_kib\":%.0f,\"named\":%.3f,\"ns\":%.1f,\"linear_ns\":%.1f}\n",
           figures->memory_kib, figures->named, figures->scan_ns, figures->linear_ns);
}

static void print(const struct prefilter_stats *stats, const struct subjects *subjects,
                  const struct figures *figures)
{
    printf("patterns     %zu: %zu known by words, %zu in the database\n", stats->patterns,
           stats->by_words, stats->by_database);
    printf("subjects     %zu of %.1f bytes, %zu matched\n", subjects->count,
           (double)subjects->bytes / (double)subjects->count, figures->matched);
    printf("load         %.1f ms, database %lu ms, memory %.0f KiB\n", figures->load_ms,
           stats->compile_ms, figures->memory_kib);
    printf("asked        %.3f patterns a subject\n", figures->named);
    printf("time         %.1f ns a subject, without the prefilter %.1f ns\n", figures->scan_ns,
           figures->linear_ns);
}

static void read_options(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"patterns", required_argument, NULL, 'p'}, {"subjects", required_argument, NULL, 's'},
        {"rounds", required_argument, NULL, 'r'},   {"linear-rounds", required_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'},           {NULL, 0, NULL, 0}};
    int option;

    *options = (struct options){.rounds = 5, .linear_rounds = 2};
    while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        switch (option) {
        case 'p':
            options->patterns = optarg;
            break;
        case 's':
            options->subjects = optarg;
            break;
        case 'r':
            options->rounds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            options->linear_rounds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'j':
            options->json = true;
            break;
        default:
            fputs(usage_text, stderr);
            exit(2);
        }
    }
    if (options->patterns == NULL || options->subjects == NULL || optind < argc) {
        fputs(usage_text, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct subjects subjects = {0};
    struct figures figures = {0};
    struct prefilter_stats stats;

    read_options(&options, argc, argv);
    read_subjects(&subjects, options.subjects);
    struct table_regex *table = load(options.patterns, &figures);

    measure(&options, table, &subjects, &figures);
    prefilter_stats(table_regex_prefilter(table), &stats);
    (options.json ? print_json : print)(&stats, &subjects, &figures);
    table_regex_unref(&table);
    for (size_t i = 0; i < subjects.count; i++) {
        strbuf_fini(&subjects.at[i]);
    }
    free(subjects.at);
    return 0;
}
