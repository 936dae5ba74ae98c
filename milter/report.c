/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/report.h"
#include "lib/base/xalloc.h"
#include "lib/policy/ruleset.h"
#include "lib/table/prefilter.h"
#include "lib/table/table.h"
#include "lib/table/table_regex.h"
#include "milter/answer.h"
#include "milter/relay_report.h"
#include "milter/relay_requests.h"
#include "milter/report_dns.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- counters ---- */

static json_t *verdict_counters(struct stats *stats)
{
    json_t *stages = json_object();

    for (int stage = 0; stage < STATS_STAGES; stage++) {
        json_t *kinds = json_object();

        for (int kind = 0; kind < STATS_KINDS; kind++) {
            (void)json_object_set_new(kinds, verdict_kind_name((enum verdict_kind)kind),
                                      answer_number(stats_get(&stats->verdicts[stage][kind])));
        }
        (void)json_object_set_new(stages, stats_stage_name((enum stats_stage)stage), kinds);
    }
    return stages;
}

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

/* What header rules changed or had logged. */
static void set_edits(json_t *object, struct stats *stats)
{
    static const char *const names[STATS_EDITS] = {
        [HEADER_EDIT_DELETE] = "headers_deleted",
        [HEADER_EDIT_REPLACE] = "headers_replaced",
        [HEADER_EDIT_PREPEND] = "headers_prepended",
        [HEADER_EDIT_ADD_RECIPIENT] = "recipients_added",
        [HEADER_EDIT_REDIRECT] = "redirects",
        [HEADER_EDIT_INFO] = "rules_logged_info",
        [HEADER_EDIT_WARN] = "rules_logged_warn",
    };

    for (int kind = 0; kind < STATS_EDITS; kind++) {
        set(object, names[kind], answer_number(stats_get(&stats->edits[kind])));
    }
}

static json_t *counters(struct stats *stats)
{
    json_t *object = json_object();

    set(object, "sessions", answer_number(stats_get(&stats->sessions)));
    set(object, "messages", answer_number(stats_get(&stats->messages)));
    set(object, "messages_aborted", answer_number(stats_get(&stats->aborted)));
    set(object, "internal_failures", answer_number(stats_get(&stats->internal_failures)));
    set(object, "reloads", answer_number(stats_get(&stats->reloads)));
    set(object, "reloads_refused", answer_number(stats_get(&stats->reloads_refused)));
    set(object, "map_changes", answer_number(stats_get(&stats->map_changes)));
    set(object, "sessions_open", json_integer((json_int_t)stats_level(&stats->sessions_open)));
    set_edits(object, stats);
    set(object, "verdicts", verdict_counters(stats));
    return object;
}

/* ---- status ---- */

/* Nothing if no such table is configured. */
static void add_map(json_t *maps, const struct table *table)
{
    if (table == NULL) {
        return;
    }
    struct stat compiled;
    char *path = config_map_path(table_source(table));
    json_t *map = json_object();

    (void)json_object_set_new(map, "name", answer_text(table_name(table)));
    (void)json_object_set_new(map, "source", answer_text(table_source(table)));
    (void)json_object_set_new(map, "entries", answer_number(table_count(table)));
    if (stat(path, &compiled) == 0) {
        time_t age = time(NULL) - compiled.st_mtime;

        (void)json_object_set_new(map, "built_at", answer_utc(compiled.st_mtime));
        (void)json_object_set_new(map, "age_seconds", answer_number(age > 0 ? (uint64_t)age : 0));
    }
    if (table_failure(table) != NULL) {
        (void)json_object_set_new(map, "failure", answer_text(table_failure(table)));
    }
    free(path);
    (void)json_array_append_new(maps, map);
}

/* What is known of a table of patterns, so that few of them need to be asked. */
static json_t *pattern_table(struct table_regex *table)
{
    struct prefilter_stats stats;
    json_t *object = json_object();

    prefilter_stats(table_regex_prefilter(table), &stats);
    set(object, "name", answer_text(table_regex_name(table)));
    set(object, "source", answer_text(table_regex_file(table)));
    set(object, "rules", answer_number(table_regex_count(table)));
    set(object, "patterns", answer_number(stats.patterns));
    set(object, "found_by_words", answer_number(stats.by_words));
    set(object, "found_by_database", answer_number(stats.by_database));
    set(object, "bytes", answer_number(stats.bytes));
    set(object, "compiling", json_boolean(stats.compiling));
    set(object, "compile_ms", answer_number(stats.compile_ms));
    if (stats.engine != NULL) {
        set(object, "engine", answer_text(stats.engine));
    }
    if (stats.failure != NULL) {
        set(object, "failure", answer_text(stats.failure));
    }
    return object;
}

static json_t *pattern_tables(const struct ruleset *ruleset)
{
    struct table_regex *tables[RULESET_PATTERNS];
    size_t count = ruleset_patterns(ruleset, tables);
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, pattern_table(tables[i]));
    }
    return array;
}

static struct relay_report about_relayers(const struct report *report, struct ruleset *ruleset)
{
    return (struct relay_report){
        .store = report->relay_store,
        .popauth = report->popauth,
        .started = &report->reload->started->relay_store,
        .config = &ruleset_config(ruleset)->relay_store,
    };
}

static json_t *answer_status(struct report *report)
{
    struct ruleset *ruleset = snapshot_get(report->snapshot);
    struct timespec now;
    json_t *maps = json_array();

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    add_map(maps, ruleset_access(ruleset));
    add_map(maps, ruleset_spammers(ruleset));
    json_t *status = json_pack(
        "{sisssIsIsosososososIsoso}", "version", 1, "program_version", PACKAGE_VERSION, "pid",
        (json_int_t)getpid(), "uptime_seconds", (json_int_t)(now.tv_sec - report->started),
        "configuration", answer_text(ruleset_config(ruleset)->path), "listen",
        answer_text(report->reload->started->listen), "loaded_at",
        answer_utc(reload_time(report->reload)), "maps", maps, "patterns", pattern_tables(ruleset),
        "patterns_load_ms", (json_int_t)ruleset_patterns_ms(ruleset), "counters",
        counters(report->stats), "dns", report_dns(report->resolver, ruleset_dns_lists(ruleset)));

    const struct relay_report relayers = about_relayers(report, ruleset);

    set(status, "relay_store", relay_report_status(&relayers));
    ruleset_unref(&ruleset);
    return status;
}

/* ---- reload ---- */

static json_t *answer_reload(struct report *report)
{
    json_t *items = json_array();
    struct diag diag; /* counts, and passes on */

    diag_init(&diag, answer_collect, items);
    bool done = reload_run(report->reload, &diag);

    return json_pack("{sisbsosIsI}", "version", 1, "reloaded", (int)done, "items", items, "errors",
                     (json_int_t)diag.errors, "warnings", (json_int_t)diag.warnings);
}

/* ---- requests ---- */

static json_t *answer_relay(struct report *report, const char *request, int descriptor)
{
    struct ruleset *ruleset = snapshot_get(report->snapshot);
    const struct relay_report relayers = about_relayers(report, ruleset);
    json_t *answer = strcmp(request, RELAY_REPORT_REQUEST) == 0
                         ? relay_report_stats(&relayers)
                         : relay_requests_answer(report->relay_store, relayers.popauth,
                                                 relayers.config, report->reload->logger, request,
                                                 descriptor);

    ruleset_unref(&ruleset);
    return answer;
}

char *report_answer(void *ctx, const char *request, int descriptor)
{
    struct report *report = ctx;
    json_t *answer;

    if (strcmp(request, "status") == 0) {
        answer = answer_status(report);
    } else if (strcmp(request, "stats") == 0) {
        answer = json_pack("{siso}", "version", 1, "counters", counters(report->stats));
    } else if (strcmp(request, "reload") == 0) {
        answer = answer_reload(report);
    } else if (strncmp(request, RELAY_REQUESTS_PREFIX, strlen(RELAY_REQUESTS_PREFIX)) == 0) {
        answer = answer_relay(report, request, descriptor);
    } else {
        answer = json_pack("{siss}", "version", 1, "error", "unknown request");
    }
    char *out = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;

    json_decref(answer);
    /* Who has the answer finds in the log what came before it. */
    log_flush(report->reload->logger);
    return out != NULL ? out : xstrdup("{\"version\":1,\"error\":\"no memory\"}");
}
