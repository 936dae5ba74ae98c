/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/dns_lists.h"

#include "lib/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define RETRY_SECONDS 60    /* a list that failed its probe is probed again */
#define REPEAT_SECONDS 3600 /* what is wrong is said again */
#define SUSPICIOUS_ROW 10   /* so many listings, and nobody who is not listed */
#define RETURN_SECONDS 6    /* a failure is remembered for nearly so long */

struct dns_lists {
    const struct config_dns *config;
    size_t count;
    struct dns_list *lists;
    bool down; /* all servers were silent when last looked at */
};

struct dns_lists *dns_lists_new(const struct config_dns *config)
{
    struct dns_lists *lists = xcalloc(1, sizeof(*lists));

    lists->config = config;
    lists->count = config->list_count;
    lists->lists = xcalloc(lists->count + 1, sizeof(*lists->lists));
    for (size_t i = 0; i < lists->count; i++) {
        const struct config_dnsbl *list = &config->lists[i];
        const struct dnsbl_health_options options = {
            .zone = list->zone,
            .addresses = (list->lookups & DNS_LOOKUP_ADDRESS) != 0,
            .ipv6 = list->ipv6 && (list->lookups & DNS_LOOKUP_ADDRESS) != 0,
            .domains = (list->lookups & ~(unsigned)DNS_LOOKUP_ADDRESS) != 0,
            .listed = list->probe_listed,
            .unlisted = list->probe_unlisted,
            .probe = list->probe,
            .silence_counts = *list->tempfail_reply != '\0',
        };

        lists->lists[i].config = list;
        lists->lists[i].number = i;
        lists->lists[i].zone_len = strlen(list->zone);
        lists->lists[i].health = dnsbl_health_new(&options);
    }
    return lists;
}

void dns_lists_free(struct dns_lists **lists)
{
    if (*lists == NULL) {
        return;
    }
    for (size_t i = 0; i < (*lists)->count; i++) {
        dnsbl_health_free(&(*lists)->lists[i].health);
    }
    free((*lists)->lists);
    free(*lists);
    *lists = NULL;
}

size_t dns_lists_count(const struct dns_lists *lists)
{
    return lists->count;
}

struct dns_list *dns_lists_get(const struct dns_lists *lists, size_t index)
{
    return &lists->lists[index];
}

/* ---- reload ---- */

/* Would a probe of the one ask what a probe of the other asks? */
static bool same_probe(const struct config_dnsbl *a, const struct config_dnsbl *b)
{
    return a->probe == b->probe && a->lookups == b->lookups && a->ipv6 == b->ipv6 &&
           strcmp(a->zone, b->zone) == 0 && strcmp(a->probe_listed, b->probe_listed) == 0 &&
           strcmp(a->probe_unlisted, b->probe_unlisted) == 0;
}

void dns_lists_adopt(struct dns_lists *lists, const struct dns_lists *before)
{
    for (size_t i = 0; i < lists->count; i++) {
        struct dns_list *list = &lists->lists[i];

        for (size_t j = 0; j < before->count; j++) {
            const struct dns_list *old = &before->lists[j];

            if (same_probe(list->config, old->config)) {
                dnsbl_health_copy(list->health, old->health);
                break;
            }
        }
    }
}

/* ---- log ---- */

static void log_list(struct logger *logger, enum log_level level, const struct dns_list *list,
                     const char *state, const char *text)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "dnsbl");
    log_field(&line, "list", list->config->title);
    log_field(&line, "state", state);
    log_field(&line, "reason", text);
    log_line(logger, level, line.data);
    strbuf_fini(&line);
}

/* Loud while a list is not asked, and once when it is asked again. */
static void report_state(struct logger *logger, struct dns_list *list, bool changed, bool first,
                         int64_t now)
{
    bool usable = dns_list_is_usable(list);
    struct strbuf text;

    if (usable && (!changed || first) && dnsbl_health_state(list->health) == DNSBL_HEALTH_GOOD) {
        return;
    }
    if (!changed && now < list->next_warning) {
        return;
    }
    strbuf_init(&text);
    dnsbl_health_describe(list->health, &text);
    if (dnsbl_health_state(list->health) == DNSBL_HEALTH_GOOD) {
        log_list(logger, LOG_LEVEL_WARNING, list, "resumed", text.data);
    } else if (usable) {
        log_list(logger, LOG_LEVEL_WARNING, list, "failing", text.data);
    } else {
        strbuf_append(&text, "; it is not asked until it passes its probe");
        log_list(logger, LOG_LEVEL_ERROR, list, "suspended", text.data);
    }
    list->next_warning = now + REPEAT_SECONDS * SECOND;
    strbuf_fini(&text);
}

/* IPv6 clients pass a list that is in order for others: that is told as well. */
static void report_ipv6(struct logger *logger, const struct dns_list *list, bool had)
{
    bool has = dnsbl_health_has_ipv6(list->health);
    struct strbuf text;

    if (has == had || dnsbl_health_state(list->health) != DNSBL_HEALTH_GOOD) {
        return;
    }
    strbuf_init(&text);
    dnsbl_health_describe_ipv6(list->health, &text);
    log_list(logger, LOG_LEVEL_WARNING, list, has ? "resumed" : "ipv4-only", text.data);
    strbuf_fini(&text);
}

/* There is a reason for a probe. One that failed a moment ago would only be told once more what is remembered of that. */
static void hasten(struct dns_list *list, int64_t now)
{
    bool unsure = dnsbl_health_is_unsure(list->health);
    int64_t remembered = list->probed_at + RETURN_SECONDS * SECOND;
    int64_t soonest = unsure && now < remembered ? remembered : now;

    if (soonest < list->next_probe) {
        list->next_probe = soonest;
    }
}

/* Answers to sessions that were errors of the list: is it the list as a whole? */
static void report_errors(struct logger *logger, struct dns_list *list, int64_t now)
{
    uint64_t errors = atomic_load(&list->senses[DNSBL_ERROR]);
    uint32_t addr = atomic_load(&list->last_error);
    char text[120];

    if (errors == list->errors_told || now < list->next_error) {
        return;
    }
    (void)snprintf(text, sizeof(text), "answered %u.%u.%u.%u, which is no listing; ignored: %llu",
                   addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255,
                   (unsigned long long)(errors - list->errors_told));
    log_list(logger, LOG_LEVEL_ERROR, list, "error", text);
    list->errors_told = errors;
    list->next_error = now + RETRY_SECONDS * SECOND;
    hasten(list, now);
}

/* Sessions got no answer, and each has waited for it: is it the list? If all servers are silent it is not. */
static void doubt(struct resolver *resolver, struct dns_list *list, int64_t now)
{
    uint64_t failures = atomic_load(&list->senses[DNSBL_UNKNOWN]);
    struct resolver_stats stats;

    if (failures == list->failures_seen || now < list->next_doubt) {
        return;
    }
    resolver_stats(resolver, &stats);
    list->failures_seen = failures;
    list->next_doubt = now + RETRY_SECONDS * SECOND;
    if (!stats.down) {
        hasten(list, now);
    }
}

/* It lists all who come: does it list everybody, as lists do that are given up? An hour without mail is too long to find out. */
static void suspect(struct dns_list *list, int64_t now)
{
    uint64_t clean = atomic_load(&list->senses[DNSBL_CLEAN]);
    uint64_t listed = atomic_load(&list->senses[DNSBL_LISTED]);

    if (clean != list->clean_seen) {
        list->clean_seen = clean;
        list->listed_seen = listed;
    }
    if (listed - list->listed_seen < SUSPICIOUS_ROW || now < list->next_suspicion) {
        return;
    }
    list->listed_seen = listed;
    list->next_suspicion = now + RETRY_SECONDS * SECOND;
    hasten(list, now);
}

/* ---- probes ---- */

static void finish(const struct dns_lists *lists, struct dns_list *list, struct logger *logger,
                   int64_t now)
{
    bool first = dnsbl_health_state(list->health) == DNSBL_HEALTH_UNKNOWN;
    bool had_ipv6 = dnsbl_health_has_ipv6(list->health);
    bool changed = dnsbl_health_finish(list->health);
    int64_t wait = lists->config->probe_seconds;

    if (dnsbl_health_is_unsure(list->health) && wait > RETRY_SECONDS) {
        wait = RETRY_SECONDS;
    }
    list->next_probe = now + wait * SECOND;
    list->probed_at = now;
    report_state(logger, list, changed, first, now);
    if (!changed) {
        report_ipv6(logger, list, had_ipv6);
    }
}

static void begin(const struct dns_lists *lists, struct dns_list *list, struct resolver *resolver,
                  int64_t now)
{
    dnsbl_health_begin(list->health, resolver);
    list->probe_ends = now + (int64_t)lists->config->timeout_ms * (SECOND / 1000);
}

/* While no server answers a list says nothing about itself. It is not left aside for a minute more when they are back. */
static void notice_return(struct dns_lists *lists, struct resolver *resolver, int64_t now)
{
    struct resolver_stats stats;
    bool was_down = lists->down;

    resolver_stats(resolver, &stats);
    lists->down = stats.down;
    for (size_t i = 0; i < lists->count && was_down && !stats.down; i++) {
        struct dns_list *list = &lists->lists[i];

        if (dnsbl_health_state(list->health) == DNSBL_HEALTH_SILENT &&
            list->next_probe > now + RETURN_SECONDS * SECOND) {
            list->next_probe = now + RETURN_SECONDS * SECOND;
        }
    }
}

void dns_lists_probe(struct dns_lists *lists, struct resolver *resolver, struct logger *logger,
                     int64_t deadline)
{
    int64_t now = dns_now();

    for (size_t i = 0; i < lists->count; i++) {
        if (dnsbl_health_state(lists->lists[i].health) == DNSBL_HEALTH_UNKNOWN) {
            begin(lists, &lists->lists[i], resolver, now);
        }
    }
    for (size_t i = 0; i < lists->count; i++) {
        struct dns_list *list = &lists->lists[i];

        if (dnsbl_health_is_probing(list->health)) {
            dnsbl_health_wait(list->health, deadline);
            finish(lists, list, logger, dns_now());
        }
    }
    notice_return(lists, resolver, now);
}

void dns_lists_tick(struct dns_lists *lists, struct resolver *resolver, struct logger *logger,
                    int64_t now)
{
    notice_return(lists, resolver, now);
    for (size_t i = 0; i < lists->count; i++) {
        struct dns_list *list = &lists->lists[i];

        report_errors(logger, list, now);
        doubt(resolver, list, now);
        suspect(list, now);
        if (dnsbl_health_is_probing(list->health)) {
            if (dnsbl_health_is_answered(list->health) || now >= list->probe_ends) {
                finish(lists, list, logger, now);
            }
        } else if (list->config->probe && now >= list->next_probe) {
            begin(lists, list, resolver, now);
        }
    }
}

/* ---- sessions ---- */

/* Who wants 451 while a list cannot be asked does not want it left out then. */
bool dns_list_is_usable(const struct dns_list *list)
{
    enum dnsbl_health_state state = dnsbl_health_state(list->health);

    return state == DNSBL_HEALTH_GOOD ||
           (state == DNSBL_HEALTH_SILENT && *list->config->tempfail_reply != '\0');
}

void dns_list_count(struct dns_list *list, enum dnsbl_sense sense, const struct dns_record *record)
{
    (void)atomic_fetch_add_explicit(&list->senses[sense], 1, memory_order_relaxed);
    if (sense == DNSBL_ERROR && record != NULL) {
        const uint8_t *bytes = record->addr.bytes;

        atomic_store_explicit(&list->last_error,
                              (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                                  (uint32_t)bytes[2] << 8 | bytes[3],
                              memory_order_relaxed);
    }
}
