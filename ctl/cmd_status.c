/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/control_client.h"
#include "ctl/relay_stats.h"
#include "ctl/status_dns.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "Shows how the daemon is: version, age, the rules in force, its maps and what it has open. Exit "
    "status\n75 if it does not answer.\n";

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* "3 d 4 h", "12 min", "5 s": two units at most. */
static const char *duration(json_int_t seconds, char *buf, size_t size)
{
    if (seconds >= DAY) {
        (void)snprintf(buf, size, "%lld d %lld h", (long long)seconds / DAY,
                       (long long)seconds % DAY / HOUR);
    } else if (seconds >= HOUR) {
        (void)snprintf(buf, size, "%lld h %lld min", (long long)seconds / HOUR,
                       (long long)seconds % HOUR / MINUTE);
    } else if (seconds >= MINUTE) {
        (void)snprintf(buf, size, "%lld min", (long long)seconds / MINUTE);
    } else {
        (void)snprintf(buf, size, "%lld s", (long long)seconds);
    }
    return buf;
}

static void print_map(const json_t *map)
{
    char age[40];

    printf("map            %s: ", control_client_text(map, "name"));
    if (json_object_get(map, "failure") != NULL) {
        printf("CANNOT BE USED: %s\n", control_client_text(map, "failure"));
        return;
    }
    printf("%lld entries, built %s ago\n", (long long)control_client_number(map, "entries"),
           duration(control_client_number(map, "age_seconds"), age, sizeof(age)));
}

static void print_patterns(const json_t *table)
{
    long long by_words = (long long)control_client_number(table, "found_by_words");
    long long by_database = (long long)control_client_number(table, "found_by_database");
    long long patterns = (long long)control_client_number(table, "patterns");

    printf(
        "patterns       %s: %lld rules, %lld patterns: %lld found by words, %lld by the database, "
        "%lld always asked",
        control_client_text(table, "name"), (long long)control_client_number(table, "rules"),
        patterns, by_words, by_database, patterns - by_words - by_database);
    if (json_is_true(json_object_get(table, "compiling"))) {
        printf("; the database is being compiled");
    }
    if (json_object_get(table, "failure") != NULL) {
        printf("; %s", control_client_text(table, "failure"));
    }
    printf("\n");
}

static void print(const json_t *status)
{
    const json_t *counters = json_object_get(status, "counters");
    char up[40];
    size_t index;
    json_t *map;
    json_t *table;

    printf("postern %s   pid %lld, up %s\n", control_client_text(status, "program_version"),
           (long long)control_client_number(status, "pid"),
           duration(control_client_number(status, "uptime_seconds"), up, sizeof(up)));
    printf("configuration  %s, in force since %s\n", control_client_text(status, "configuration"),
           control_client_text(status, "loaded_at"));
    printf("listens on     %s\n", control_client_text(status, "listen"));
    json_array_foreach(json_object_get(status, "maps"), index, map)
    {
        print_map(map);
    }
    json_array_foreach(json_object_get(status, "patterns"), index, table)
    {
        print_patterns(table);
    }
    if (json_array_size(json_object_get(status, "patterns")) > 0) {
        printf("               read in %lld ms\n",
               (long long)control_client_number(status, "patterns_load_ms"));
    }
    status_dns_print(json_object_get(status, "dns"));
    relay_stats_print("relayers", json_object_get(status, "relay_store"));
    printf("sessions       %lld open, %lld since start\n",
           (long long)control_client_number(counters, "sessions_open"),
           (long long)control_client_number(counters, "sessions"));
    printf("messages       %lld since start\n",
           (long long)control_client_number(counters, "messages"));
    printf("reloads        %lld, refused %lld, maps taken over %lld times\n",
           (long long)control_client_number(counters, "reloads"),
           (long long)control_client_number(counters, "reloads_refused"),
           (long long)control_client_number(counters, "map_changes"));
    if (control_client_number(counters, "internal_failures") > 0) {
        printf("failures       %lld commands answered 4xx for want of a decision: see the log\n",
               (long long)control_client_number(counters, "internal_failures"));
    }
}

int cmd_status(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (!control_client_arguments(ctl, argc, argv, help, &code)) {
        return code;
    }
    json_t *status = control_client_ask(ctl, "status");

    if (status == NULL) {
        return CTL_TEMPFAIL;
    }
    if (ctl->json) {
        return ctl_print_json(ctl, status, NULL, CTL_DONE);
    }
    print(status);
    json_decref(status);
    return CTL_DONE;
}
