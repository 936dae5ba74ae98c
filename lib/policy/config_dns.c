/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/config_dns.h"

#include "lib/base/xalloc.h"
#include "lib/dns/dns_name.h"
#include "lib/policy/config_dns_keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *get_string(cfg_t *cfg, const char *key)
{
    const char *value = cfg_getstr(cfg, key);

    return xstrdup(value == NULL ? "" : value);
}

static unsigned get_word(cfg_t *cfg, const char *key, enum config_dns_words which)
{
    unsigned value = 0;

    (void)config_dns_keys_word(which, cfg_getstr(cfg, key), &value);
    return value;
}

/* The bits of a list of words. */
static unsigned get_words(cfg_t *cfg, const char *key, enum config_dns_words which)
{
    unsigned all = 0;

    for (unsigned i = 0; i < cfg_size(cfg, key); i++) {
        unsigned value = 0;

        (void)config_dns_keys_word(which, cfg_getnstr(cfg, key, i), &value);
        all |= value;
    }
    return all;
}

/* ---- lists ---- */

static struct dnsbl_match get_match(cfg_t *section)
{
    struct dnsbl_match match = {.count = cfg_size(section, "match")};
    bool usable;

    match.ranges = xcalloc(match.count + 1, sizeof(*match.ranges));
    for (size_t i = 0; i < match.count; i++) {
        (void)dnsbl_range_parse(cfg_getnstr(section, "match", (unsigned)i), &match.ranges[i],
                                &usable);
    }
    return match;
}

/* "451" alone has a text of Sendmail's. */
static char *get_tempfail_reply(cfg_t *section)
{
    const char *value = cfg_getstr(section, "on_tempfail");

    return strcasecmp(value, "ignore") == 0 ? xstrdup("")
           : strcmp(value, "451") == 0
               ? xstrdup("451 4.4.3 Temporary lookup failure of %{query} at %{list}")
               : xstrdup(value);
}

static struct config_dnsbl get_list(cfg_t *section)
{
    const char *zone = cfg_getstr(section, "zone");
    char name[DNS_NAME_SIZE];

    (void)dns_name_normalize(zone == NULL || *zone == '\0' ? cfg_title(section) : zone, name);
    return (struct config_dnsbl){
        .title = xstrdup(cfg_title(section)),
        .zone = xstrdup(name),
        .line = section->line > 0 ? (unsigned)section->line : 0,
        .lookups = get_words(section, "lookup", CONFIG_DNS_LOOKUPS),
        .exempt = get_words(section, "exempt", CONFIG_DNS_EXEMPTS),
        .match = get_match(section),
        .action = (enum config_dns_action)get_word(section, "action", CONFIG_DNS_ACTIONS),
        .reply = get_string(section, "reply"),
        .tempfail_reply = get_tempfail_reply(section),
        .weight = (int)cfg_getint(section, "weight"),
        .ipv6 = cfg_getbool(section, "ipv6") == cfg_true,
        .probe = cfg_getbool(section, "probe") == cfg_true,
        .probe_listed = get_string(section, "probe_listed"),
        .probe_unlisted = get_string(section, "probe_unlisted"),
    };
}

/* Both kinds of section are one sequence: that of the file. */
static int compare_lines(const void *a, const void *b)
{
    unsigned first = ((const struct config_dnsbl *)a)->line;
    unsigned second = ((const struct config_dnsbl *)b)->line;

    return first < second ? -1 : first > second;
}

static void get_lists(cfg_t *cfg, struct config_dns *out)
{
    unsigned plain = cfg_size(cfg, "dnsbl");
    unsigned enhanced = cfg_size(cfg, "enhdnsbl");

    out->list_count = plain + enhanced;
    out->lists = xcalloc(out->list_count + 1, sizeof(*out->lists));
    for (unsigned i = 0; i < plain; i++) {
        out->lists[i] = get_list(cfg_getnsec(cfg, "dnsbl", i));
    }
    for (unsigned i = 0; i < enhanced; i++) {
        out->lists[plain + i] = get_list(cfg_getnsec(cfg, "enhdnsbl", i));
    }
    qsort(out->lists, out->list_count, sizeof(*out->lists), compare_lines);
}

uint64_t config_dns_get_choice(cfg_t *daemon, const struct config_dns *dns)
{
    uint64_t chosen = 0;

    for (unsigned i = 0; i < cfg_size(daemon, "dnsbl"); i++) {
        for (size_t j = 0; j < dns->list_count; j++) {
            if (strcasecmp(cfg_getnstr(daemon, "dnsbl", i), dns->lists[j].title) == 0) {
                chosen |= UINT64_C(1) << j;
            }
        }
    }
    return chosen;
}

/* ---- the sections dns and helo ---- */

static void get_networks(cfg_t *section, struct config_dns *out)
{
    bool host_bits;

    out->bad_mx_count = cfg_size(section, "bad_mx");
    out->bad_mx = xcalloc(out->bad_mx_count + 1, sizeof(*out->bad_mx));
    for (size_t i = 0; i < out->bad_mx_count; i++) {
        (void)netaddr_parse_network(cfg_getnstr(section, "bad_mx", (unsigned)i), &out->bad_mx[i],
                                    &host_bits);
    }
}

static void get_servers(cfg_t *section, struct config_dns *out)
{
    out->server_count = cfg_size(section, "servers");
    out->servers = xcalloc(out->server_count + 1, sizeof(*out->servers));
    for (size_t i = 0; i < out->server_count; i++) {
        (void)dns_server_parse(cfg_getnstr(section, "servers", (unsigned)i), &out->servers[i]);
    }
}

void config_dns_get(cfg_t *cfg, struct config_dns *out)
{
    cfg_t *dns = cfg_getsec(cfg, "dns");
    cfg_t *helo = cfg_getsec(cfg, "helo");

    *out = (struct config_dns){
        .timeout_ms = (unsigned)cfg_getint(dns, "timeout_ms"),
        .tries = (unsigned)cfg_getint(dns, "tries"),
        .cache_entries = (size_t)cfg_getint(dns, "cache_entries"),
        .probe_seconds = (unsigned)cfg_getint(dns, "probe_seconds"),
        .answer_at_mail = get_word(dns, "answer_at", CONFIG_DNS_ANSWER_AT) != 0,
        .relay_mx = (enum config_dns_relay_mx)get_word(dns, "relay_mx", CONFIG_DNS_RELAY_MX),
        .score_threshold = (int)cfg_getint(dns, "score_threshold"),
        .score_action = (enum config_dns_action)get_word(dns, "score_action", CONFIG_DNS_ACTIONS),
        .score_reply = get_string(dns, "score_reply"),
        .helo_must_resolve = cfg_getbool(helo, "must_resolve") == cfg_true,
        .helo_refuse_own = cfg_getbool(helo, "refuse_own") == cfg_true,
    };
    get_servers(dns, out);
    get_networks(dns, out);
    get_lists(cfg, out);
}

void config_dns_free(struct config_dns *dns)
{
    for (size_t i = 0; i < dns->list_count; i++) {
        struct config_dnsbl *list = &dns->lists[i];

        free(list->title);
        free(list->zone);
        free(list->match.ranges);
        free(list->reply);
        free(list->tempfail_reply);
        free(list->probe_listed);
        free(list->probe_unlisted);
    }
    free(dns->lists);
    free(dns->servers);
    free(dns->bad_mx);
    free(dns->score_reply);
    *dns = (struct config_dns){0};
}
