/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/report_dns.h"
#include "lib/dns/resolver.h"
#include "lib/policy/dns_lists.h"

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

/* Would it be asked for IPv6 clients, too, if it had a test entry for them? */
static bool is_ipv4_only(const struct dns_list *list)
{
    return (list->config->lookups & DNS_LOOKUP_ADDRESS) != 0 && list->config->ipv6 &&
           dns_list_is_usable(list) && !dnsbl_health_has_ipv6(list->health);
}

static json_t *list_object(struct dns_list *list)
{
    static const char *const senses[DNS_LISTS_SENSES] = {
        [DNSBL_CLEAN] = "not_listed",
        [DNSBL_LISTED] = "listed",
        [DNSBL_ERROR] = "errors",
        [DNSBL_UNKNOWN] = "tempfails",
    };
    json_t *object = json_pack("{sssssssbsbsIsIsI}", "title", list->config->title, "zone",
                               list->config->zone, "probe",
                               dnsbl_health_name(dnsbl_health_state(list->health)), "suspended",
                               (int)!dns_list_is_usable(list), "ipv4_only", (int)is_ipv4_only(list),
                               "asked", (json_int_t)atomic_load(&list->asked), "latency_mean_us",
                               (json_int_t)dns_latency_mean(&list->latency), "latency_p99_us",
                               (json_int_t)dns_latency_percentile(&list->latency, 99));

    for (int sense = 0; sense < DNS_LISTS_SENSES; sense++) {
        (void)json_object_set_new(object, senses[sense],
                                  json_integer((json_int_t)atomic_load(&list->senses[sense])));
    }
    return object;
}

static json_t *list_array(const struct dns_lists *lists)
{
    json_t *array = json_array();

    for (size_t i = 0; i < dns_lists_count(lists); i++) {
        (void)json_array_append_new(array, list_object(dns_lists_get(lists, i)));
    }
    return array;
}

json_t *report_dns(struct resolver *resolver, const struct dns_lists *lists)
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
    (void)json_object_set_new(object, "lists", list_array(lists));
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        (void)json_object_set_new(object, counters[i].name,
                                  json_integer((json_int_t)counters[i].value));
    }
    return object;
}
