/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dnsbl_health.h"

#include "lib/base/xalloc.h"
#include "lib/dns/dns_name.h"
#include "lib/dns/dnsbl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum probe {
    IPV4_LISTED,
    IPV4_UNLISTED,
    DOMAIN_LISTED,
    DOMAIN_UNLISTED,
    IPV6_LISTED,
    IPV6_UNLISTED,
    PROBES
};

struct dnsbl_health {
    struct dnsbl_health_options options;
    atomic_int state; /* enum dnsbl_health_state */
    atomic_bool ipv6;

    /* of who probes */
    struct dns_answer *answers[PROBES]; /* NULL: not part of this list's probe */
    bool probing;
    bool ipv6_missed;                  /* the last probe got no answer about IPv6 */
    bool put_off;                      /* not all of the last probe could be asked */
    enum probe failed;                 /* which one decided against the list */
    char said[NETADDR_TEXT_SIZE + 32]; /* and what was answered */
};

/* A struct dnsbl_match that every listing fits. */
static const struct dnsbl_match any = {NULL, 0};

struct dnsbl_health *dnsbl_health_new(const struct dnsbl_health_options *options)
{
    struct dnsbl_health *health = xcalloc(1, sizeof(*health));

    health->options = *options;
    atomic_init(&health->state, options->probe ? DNSBL_HEALTH_UNKNOWN : DNSBL_HEALTH_GOOD);
    atomic_init(&health->ipv6, !options->probe && options->ipv6);
    return health;
}

static void forget_answers(struct dnsbl_health *health)
{
    for (int i = 0; i < PROBES; i++) {
        dns_answer_unref(&health->answers[i]);
    }
    health->probing = false;
}

void dnsbl_health_free(struct dnsbl_health **health)
{
    if (*health != NULL) {
        forget_answers(*health);
        free(*health);
        *health = NULL;
    }
}

void dnsbl_health_copy(struct dnsbl_health *health, const struct dnsbl_health *from)
{
    atomic_store(&health->state, atomic_load(&from->state));
    atomic_store(&health->ipv6, atomic_load(&from->ipv6) && health->options.ipv6);
    health->ipv6_missed = from->ipv6_missed;
    health->failed = from->failed;
    memcpy(health->said, from->said, sizeof(health->said));
}

enum dnsbl_health_state dnsbl_health_state(const struct dnsbl_health *health)
{
    return (enum dnsbl_health_state)atomic_load_explicit(&health->state, memory_order_relaxed);
}

bool dnsbl_health_has_ipv6(const struct dnsbl_health *health)
{
    return atomic_load_explicit(&health->ipv6, memory_order_relaxed);
}

/* ---- questions ---- */

/* 127.0.0.`last`, or ::ffff:7f00:`last` as it is asked: mapped, which no client's address ever is here. */
static struct netaddr test_address(bool ipv6, uint8_t last)
{
    static const uint8_t mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    struct netaddr addr = {.family = NETADDR_IPV4, .bits = 32, .bytes = {127, 0, 0, last}};

    if (ipv6) {
        addr = (struct netaddr){.family = NETADDR_IPV6, .bits = 128};
        memcpy(addr.bytes, mapped, sizeof(mapped));
        addr.bytes[15] = last;
    }
    return addr;
}

static void ask(struct dnsbl_health *health, struct resolver *resolver, enum probe probe)
{
    const struct dnsbl_health_options *options = &health->options;
    bool domain = probe == DOMAIN_LISTED || probe == DOMAIN_UNLISTED;
    bool listed = probe == IPV4_LISTED || probe == IPV6_LISTED;
    struct netaddr addr = test_address(probe == IPV6_LISTED || probe == IPV6_UNLISTED,
                                       listed ? 2 : 1);
    char name[DNS_NAME_SIZE];

    if (domain) {
        (void)dns_name_under(probe == DOMAIN_LISTED ? options->listed : options->unlisted,
                             options->zone, name);
    } else {
        (void)dns_name_reverse(&addr, options->zone, name);
    }
    health->answers[probe] = resolver_ask(resolver, name, DNS_A);
}

void dnsbl_health_begin(struct dnsbl_health *health, struct resolver *resolver)
{
    const struct dnsbl_health_options *options = &health->options;

    forget_answers(health);
    if (!options->probe) {
        return;
    }
    health->probing = true;
    for (int probe = 0; probe < PROBES; probe++) {
        bool wanted = probe >= IPV6_LISTED     ? options->addresses && options->ipv6
                      : probe >= DOMAIN_LISTED ? options->domains
                                               : options->addresses;

        if (wanted) {
            ask(health, resolver, (enum probe)probe);
        }
    }
}

bool dnsbl_health_is_unsure(const struct dnsbl_health *health)
{
    return dnsbl_health_state(health) != DNSBL_HEALTH_GOOD || health->ipv6_missed ||
           health->put_off;
}

bool dnsbl_health_is_probing(const struct dnsbl_health *health)
{
    return health->probing;
}

bool dnsbl_health_is_answered(const struct dnsbl_health *health)
{
    for (int i = 0; i < PROBES; i++) {
        if (health->answers[i] != NULL && !dns_answer_is_ready(health->answers[i])) {
            return false;
        }
    }
    return true;
}

void dnsbl_health_wait(struct dnsbl_health *health, int64_t deadline)
{
    (void)dns_answer_wait_all(health->answers, PROBES, deadline);
}

/* ---- what was answered ---- */

static bool has_to_be_listed(enum probe probe)
{
    return probe == IPV4_LISTED || probe == DOMAIN_LISTED || probe == IPV6_LISTED;
}

static void remember(struct dnsbl_health *health, enum probe probe, const struct dns_result *result,
                     const struct dns_record *record)
{
    char addr[NETADDR_TEXT_SIZE];

    health->failed = probe;
    if (record != NULL) {
        (void)snprintf(health->said, sizeof(health->said), "%s",
                       netaddr_format(&record->addr, addr));
    } else if (result->status == DNS_TEMPFAIL) {
        (void)snprintf(health->said, sizeof(health->said), "%s", dns_failure_name(result->failure));
    } else {
        (void)snprintf(health->said, sizeof(health->said), "%s", dns_status_name(result->status));
    }
}

/* GOOD, or what one answer says against the list. */
static enum dnsbl_health_state judge(const struct dns_result *result, bool has_to_be_listed,
                                     const struct dns_record **record_out)
{
    switch (dnsbl_judge(result, &any, record_out)) {
    case DNSBL_UNKNOWN:
        return DNSBL_HEALTH_SILENT;
    case DNSBL_ERROR:
        return DNSBL_HEALTH_REFUSES;
    case DNSBL_LISTED:
        return has_to_be_listed ? DNSBL_HEALTH_GOOD : DNSBL_HEALTH_LISTS_ALL;
    case DNSBL_CLEAN:
        break;
    }
    return has_to_be_listed ? DNSBL_HEALTH_EMPTY : DNSBL_HEALTH_GOOD;
}

/*
 * What the probes from `first` to `last` say together. A wrong answer outweighs one that is lost: a silent list may go on deciding where
 * its silence counts, one that lists all must not.
 */
static enum dnsbl_health_state judge_all(struct dnsbl_health *health, int first, int last)
{
    enum dnsbl_health_state state = DNSBL_HEALTH_GOOD;

    for (int i = first; i <= last; i++) {
        enum probe probe = (enum probe)i;
        const struct dns_record *record;

        if (health->answers[probe] == NULL) {
            continue;
        }
        const struct dns_result *result = dns_answer_result(health->answers[probe]);
        enum dnsbl_health_state found = judge(result, has_to_be_listed(probe), &record);

        if (found != DNSBL_HEALTH_GOOD &&
            (state == DNSBL_HEALTH_GOOD ||
             (state == DNSBL_HEALTH_SILENT && found != DNSBL_HEALTH_SILENT))) {
            state = found;
            remember(health, probe, result, record);
        }
    }
    return state;
}

/* Was some of it not asked at all: too many questions are under way, as clients may cause, or no server answers? The list is not to blame. */
static bool was_put_off(const struct dnsbl_health *health)
{
    for (int i = 0; i < PROBES; i++) {
        enum dns_failure failure = health->answers[i] == NULL
                                       ? DNS_FAILURE_NONE
                                       : dns_answer_result(health->answers[i])->failure;

        if (failure == DNS_FAILURE_OVERLOAD || failure == DNS_FAILURE_DOWN ||
            failure == DNS_FAILURE_STOPPED) {
            return true;
        }
    }
    return false;
}

/* A list that knows no IPv6 addresses is as good as ever for others; it is only not asked for them. One lost answer takes nothing away. */
static bool finish_ipv6(struct dnsbl_health *health)
{
    bool missed = health->ipv6_missed;
    bool had = dnsbl_health_has_ipv6(health);

    health->ipv6_missed = false;
    if (health->answers[IPV6_LISTED] == NULL) {
        return false;
    }
    enum dnsbl_health_state state = judge_all(health, IPV6_LISTED, IPV6_UNLISTED);

    if (state != DNSBL_HEALTH_SILENT) {
        return state == DNSBL_HEALTH_GOOD;
    }
    health->ipv6_missed = missed || !health->put_off;
    return had && (!missed || health->put_off || health->options.silence_counts);
}

bool dnsbl_health_finish(struct dnsbl_health *health)
{
    enum dnsbl_health_state before = dnsbl_health_state(health);

    if (!health->probing) {
        return false;
    }
    health->put_off = was_put_off(health);

    bool ipv6 = finish_ipv6(health);
    enum dnsbl_health_state state = judge_all(health, IPV4_LISTED, DOMAIN_UNLISTED);

    if (state == DNSBL_HEALTH_SILENT && health->put_off && before != DNSBL_HEALTH_UNKNOWN) {
        state = before;
    }
    atomic_store(&health->state, (int)state);
    atomic_store(&health->ipv6,
                 ipv6 && (state == DNSBL_HEALTH_GOOD ||
                          (state == DNSBL_HEALTH_SILENT && health->options.silence_counts)));
    forget_answers(health);
    return state != before;
}

/* ---- for people ---- */

const char *dnsbl_health_name(enum dnsbl_health_state state)
{
    static const char *const names[] = {
        [DNSBL_HEALTH_UNKNOWN] = "unknown", [DNSBL_HEALTH_GOOD] = "good",
        [DNSBL_HEALTH_EMPTY] = "empty",     [DNSBL_HEALTH_LISTS_ALL] = "lists-all",
        [DNSBL_HEALTH_REFUSES] = "refuses", [DNSBL_HEALTH_SILENT] = "silent",
    };

    return names[state];
}

static const char *probe_name(const struct dnsbl_health *health)
{
    switch (health->failed) {
    case IPV4_LISTED:
        return "127.0.0.2";
    case IPV4_UNLISTED:
        return "127.0.0.1";
    case DOMAIN_LISTED:
        return health->options.listed;
    case DOMAIN_UNLISTED:
        return health->options.unlisted;
    case IPV6_LISTED:
        return "::ffff:7f00:2";
    case IPV6_UNLISTED:
    case PROBES:
        break;
    }
    return "::ffff:7f00:1";
}

void dnsbl_health_describe(const struct dnsbl_health *health, struct strbuf *out)
{
    static const char *const texts[] = {
        [DNSBL_HEALTH_UNKNOWN] = "was not probed yet",
        [DNSBL_HEALTH_GOOD] = "passes its probe",
        [DNSBL_HEALTH_EMPTY] = "does not list its test entry",
        [DNSBL_HEALTH_LISTS_ALL] = "lists what no list may list",
        [DNSBL_HEALTH_REFUSES] = "answers an error instead of a listing",
        [DNSBL_HEALTH_SILENT] = "gives no answer",
    };
    enum dnsbl_health_state state = dnsbl_health_state(health);

    strbuf_append(out, texts[state]);
    if (state > DNSBL_HEALTH_GOOD) {
        strbuf_appendf(out, " (%s: %s)", probe_name(health), health->said);
    }
}

void dnsbl_health_describe_ipv6(const struct dnsbl_health *health, struct strbuf *out)
{
    if (dnsbl_health_has_ipv6(health)) {
        strbuf_append(out, "passes its probe for IPv6");
    } else {
        strbuf_appendf(out, "fails its probe for IPv6 (%s: %s)", probe_name(health), health->said);
    }
}
