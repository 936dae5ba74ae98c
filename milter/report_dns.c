/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/report_dns.h"
#include "lib/dns/resolver.h"

static json_t *servers(const struct resolver_stats *stats)
{
    json_t *array = json_array();
    char text[DNS_SERVER_TEXT_SIZE];

    for (size_t i = 0; i < stats->server_count; i++) {
        json_t *server = json_object();

        (void)json_object_set_new(server, "address",
                                  json_string(dns_server_format(&stats->servers[i], text)));
        (void)json_object_set_new(server, "silent", json_boolean(stats->silent[i]));
        (void)json_array_append_new(array, server);
    }
    return array;
}

json_t *report_dns(struct resolver *resolver)
{
    struct resolver_stats stats;

    resolver_stats(resolver, &stats);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"questions", stats.questions},
        {"cache_hits", stats.cache_hits},
        {"shared", stats.shared},
        {"asked", stats.asked},
        {"found", stats.found},
        {"nodata", stats.nodata},
        {"nxdomain", stats.nxdomain},
        {"tempfails", stats.tempfails},
        {"timeouts", stats.timeouts},
        {"not_asked_servers_silent", stats.refused_down},
        {"not_asked_too_many", stats.overload},
        {"times_silent", stats.downs},
        {"in_flight", stats.in_flight},
        {"cache_entries", stats.cache_entries},
        {"cache_bytes", stats.cache_bytes},
        {"cache_evicted", stats.cache_evicted},
        {"latency_mean_us", stats.latency_mean_us},
        {"latency_p99_us", stats.latency_p99_us},
    };
    json_t *object = json_object();

    (void)json_object_set_new(object, "servers", servers(&stats));
    (void)json_object_set_new(object, "silent", json_boolean(stats.down));
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        (void)json_object_set_new(object, counters[i].name,
                                  json_integer((json_int_t)counters[i].value));
    }
    return object;
}
