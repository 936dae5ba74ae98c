/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/status_dns.h"
#include "ctl/control_client.h"

#include <stdio.h>
#include <string.h>

static void print_servers(const json_t *dns)
{
    size_t index;
    json_t *server;

    printf("DNS            ");
    json_array_foreach(json_object_get(dns, "servers"), index, server)
    {
        printf("%s%s%s", index > 0 ? ", " : "", control_client_text(server, "address"),
               json_is_true(json_object_get(server, "silent")) ? " (SILENT)" : "");
    }
    printf("\n");
}

static void print_questions(const json_t *dns)
{
    long long not_asked = (long long)control_client_number(dns, "not_asked_servers_silent") +
                          (long long)control_client_number(dns, "not_asked_too_many");

    printf(
        "               %lld questions: %lld known, %lld shared, %lld asked, %lld on their way\n",
        (long long)control_client_number(dns, "questions"),
        (long long)control_client_number(dns, "cache_hits"),
        (long long)control_client_number(dns, "shared"),
        (long long)control_client_number(dns, "asked"),
        (long long)control_client_number(dns, "in_flight"));
    printf(
        "               answers in %.1f ms, 99%% within %.1f ms; %lld timed out, %lld failed otherwise",
        (double)control_client_number(dns, "latency_mean_us") / 1000,
        (double)control_client_number(dns, "latency_p99_us") / 1000,
        (long long)control_client_number(dns, "timeouts"),
        (long long)(control_client_number(dns, "tempfails") -
                    control_client_number(dns, "timeouts")));
    if (not_asked > 0) {
        printf(", %lld not asked", not_asked);
    }
    printf("\n               %lld answers kept, %lld KiB\n",
           (long long)control_client_number(dns, "cache_entries"),
           (long long)control_client_number(dns, "cache_bytes") / 1024);
}

/* What a probe said against a list; the log has the answer as well. */
static const char *why(const json_t *list)
{
    static const struct {
        const char *probe;
        const char *text;
    } reasons[] = {
        {"unknown", "it was not probed yet"},
        {"empty", "it does not list its test entry"},
        {"lists-all", "it lists what no list may list"},
        {"refuses", "it answers errors instead of listings"},
        {"silent", "it gives no answer"},
    };
    const char *probe = control_client_text(list, "probe");

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(probe, reasons[i].probe) == 0) {
            return reasons[i].text;
        }
    }
    return probe;
}

static void print_list(const json_t *list)
{
    printf("dns list       %s: ", control_client_text(list, "title"));
    if (json_is_true(json_object_get(list, "suspended"))) {
        printf("SUSPENDED, %s; ", why(list));
    } else if (strcmp(control_client_text(list, "probe"), "good") != 0) {
        printf("FAILING, %s; ", why(list));
    } else if (json_is_true(json_object_get(list, "ipv4_only"))) {
        printf("IPv4 only; ");
    }
    printf("asked %lld, listed %lld, errors %lld, failures %lld, answers in %.1f ms\n",
           (long long)control_client_number(list, "asked"),
           (long long)control_client_number(list, "listed"),
           (long long)control_client_number(list, "errors"),
           (long long)control_client_number(list, "tempfails"),
           (double)control_client_number(list, "latency_mean_us") / 1000);
}

void status_dns_print(const json_t *dns)
{
    size_t index;
    json_t *list;

    if (dns == NULL) {
        return;
    }
    print_servers(dns);
    if (control_client_number(dns, "questions") > 0) {
        print_questions(dns);
    }
    json_array_foreach(json_object_get(dns, "lists"), index, list)
    {
        print_list(list);
    }
}
