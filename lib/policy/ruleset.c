/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/policy/ruleset.h"

#include "lib/base/xalloc.h"
#include "lib/policy/classes.h"
#include "lib/policy/client_facts.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/header_rules.h"
#include "lib/policy/regex_patterns.h"
#include "lib/table/prefilter.h"
#include "lib/table/table_fail.h"
#include "lib/table/table_gdbm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* What does not change when only a map does: shared by the rulesets that follow each other. */
struct base {
    atomic_uint references;
    struct config *config;
    struct classes *classes;
    struct regex_patterns *regex;
    struct header_rules *headers;
    struct dns_lists *lists;
    unsigned long patterns_ms;
};

/* A compiled map, and which file it was when it was opened. */
struct map {
    struct table *table; /* NULL: none configured */
    bool exists;
    dev_t device;
    ino_t inode;
    struct timespec changed;
};

struct ruleset {
    atomic_uint references;
    struct base *base;
    struct map access;
    struct map spammers;
};

/* ---- what is shared ---- */

static void base_unref(struct base *base)
{
    if (base == NULL || atomic_fetch_sub(&base->references, 1) != 1) {
        return;
    }
    regex_patterns_free(&base->regex);
    header_rules_free(&base->headers);
    dns_lists_free(&base->lists);
    classes_free(&base->classes);
    config_free(&base->config);
    free(base);
}

static size_t base_patterns(const struct base *base, struct table_regex *tables[RULESET_PATTERNS])
{
    size_t count = 0;

    if (base->regex->table != NULL) {
        tables[count++] = base->regex->table;
    }
    return count + header_rules_tables(base->headers, tables + count);
}

/* One line, however many tables there are: the whole process may do it or not. */
static void report_notice(const struct base *base, struct diag *diag)
{
    struct table_regex *tables[RULESET_PATTERNS];
    size_t count = base_patterns(base, tables);

    for (size_t i = 0; i < count; i++) {
        const char *notice = table_regex_notice(tables[i]);

        if (notice != NULL) {
            diag_report(diag, DIAG_WARNING, table_regex_file(tables[i]), 0,
                        "they match the same, but slower; see postern-regex(5)",
                        "patterns are not compiled to machine code: %s", notice);
            return;
        }
    }
}

static unsigned long milliseconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static struct base *base_load(const char *path, struct diag *diag)
{
    struct base *base = xcalloc(1, sizeof(*base));

    atomic_init(&base->references, 1);
    base->config = config_load(path, diag);
    if (base->config != NULL) {
        base->classes = classes_load(base->config, diag);
        base->lists = dns_lists_new(&base->config->dns);

        const unsigned long begin = milliseconds_now();

        base->regex = regex_patterns_load(base->config->regex, diag);
        base->headers = header_rules_load(base->config, diag);
        base->patterns_ms = milliseconds_now() - begin;
    }
    if (base->classes == NULL || base->regex == NULL || base->headers == NULL) {
        base_unref(base);
        return NULL;
    }
    report_notice(base, diag);
    return base;
}

/* ---- maps ---- */

static void map_identify(struct map *map, const char *path)
{
    struct stat st;

    map->exists = stat(path, &st) == 0;
    if (map->exists) {
        map->device = st.st_dev;
        map->inode = st.st_ino;
        map->changed = st.st_mtim;
    }
}

/* Is the file at `path` still the one that was opened? */
static bool map_is_current(const struct map *map, const char *text_path)
{
    struct map now = {0};
    char *path;

    if (map->table == NULL) {
        return true;
    }
    path = config_map_path(text_path);
    map_identify(&now, path);
    free(path);
    return now.exists == map->exists &&
           (!now.exists || (now.device == map->device && now.inode == map->inode &&
                            now.changed.tv_sec == map->changed.tv_sec &&
                            now.changed.tv_nsec == map->changed.tv_nsec));
}

static const char *hint_for(const char *name)
{
    return strcmp(name, "access") == 0
               ? "run posternctl makemap access; until then mail is answered 451 4.3.0"
               : "run posternctl makemap spammers; until then mail is answered 451 4.3.0";
}

static struct map map_open(const char *name, const char *text_path, struct diag *diag)
{
    struct map map = {0};
    struct strbuf why;

    if (*text_path == '\0') {
        return map;
    }
    char *path = config_map_path(text_path);

    strbuf_init(&why);
    /* First the identity, then the content: a file renamed in between is noticed at the next look. */
    map_identify(&map, path);
    map.table = table_gdbm_open(name, path, text_path, &why);
    if (map.table == NULL) {
        diag_report(diag, DIAG_WARNING, path, 0, hint_for(name), "the map %s cannot be used: %s",
                    name, why.data);
        map.table = table_fail_new(name, text_path, why.data);
    }
    strbuf_fini(&why);
    free(path);
    return map;
}

static struct map map_share(const struct map *map)
{
    struct map shared = *map;

    shared.table = table_ref(map->table);
    return shared;
}

/* ---- rulesets ---- */

struct ruleset *ruleset_load(const char *path, struct diag *diag)
{
    struct base *base = base_load(path, diag);

    if (base == NULL) {
        return NULL;
    }
    struct ruleset *ruleset = xcalloc(1, sizeof(*ruleset));

    atomic_init(&ruleset->references, 1);
    ruleset->base = base;
    ruleset->access = map_open("access", base->config->access, diag);
    ruleset->spammers = map_open("spammers", base->config->spammers, diag);
    return ruleset;
}

struct ruleset *ruleset_refresh(const struct ruleset *old, struct diag *diag)
{
    const struct config *config = old->base->config;
    bool same_access = map_is_current(&old->access, config->access);
    bool same_spammers = map_is_current(&old->spammers, config->spammers);

    if (same_access && same_spammers) {
        return NULL;
    }
    struct ruleset *ruleset = xcalloc(1, sizeof(*ruleset));

    atomic_init(&ruleset->references, 1);
    atomic_fetch_add(&old->base->references, 1);
    ruleset->base = old->base;
    ruleset->access = same_access ? map_share(&old->access)
                                  : map_open("access", config->access, diag);
    ruleset->spammers = same_spammers ? map_share(&old->spammers)
                                      : map_open("spammers", config->spammers, diag);
    return ruleset;
}

struct ruleset *ruleset_ref(struct ruleset *ruleset)
{
    atomic_fetch_add(&ruleset->references, 1);
    return ruleset;
}

void ruleset_unref(struct ruleset **ruleset)
{
    struct ruleset *last = *ruleset;

    *ruleset = NULL;
    if (last == NULL || atomic_fetch_sub(&last->references, 1) != 1) {
        return;
    }
    table_unref(&last->access.table);
    table_unref(&last->spammers.table);
    base_unref(last->base);
    free(last);
}

const struct config *ruleset_config(const struct ruleset *ruleset)
{
    return ruleset->base->config;
}

const struct table *ruleset_access(const struct ruleset *ruleset)
{
    return ruleset->access.table;
}

const struct table *ruleset_spammers(const struct ruleset *ruleset)
{
    return ruleset->spammers.table;
}

const struct regex_patterns *ruleset_regex(const struct ruleset *ruleset)
{
    return ruleset->base->regex;
}

const struct classes *ruleset_classes(const struct ruleset *ruleset)
{
    return ruleset->base->classes;
}

struct dns_lists *ruleset_dns_lists(const struct ruleset *ruleset)
{
    return ruleset->base->lists;
}

const struct header_rules *ruleset_headers(const struct ruleset *ruleset)
{
    return ruleset->base->headers;
}

size_t ruleset_patterns(const struct ruleset *ruleset,
                        struct table_regex *tables_out[RULESET_PATTERNS])
{
    return base_patterns(ruleset->base, tables_out);
}

unsigned long ruleset_patterns_ms(const struct ruleset *ruleset)
{
    return ruleset->base->patterns_ms;
}

void ruleset_prepare(const struct ruleset *ruleset)
{
    struct table_regex *tables[RULESET_PATTERNS];
    size_t count = base_patterns(ruleset->base, tables);

    for (size_t i = 0; i < count; i++) {
        table_regex_prepare(tables[i]);
    }
}

void ruleset_stop(const struct ruleset *ruleset)
{
    struct table_regex *tables[RULESET_PATTERNS];
    size_t count = base_patterns(ruleset->base, tables);

    for (size_t i = 0; i < count; i++) {
        prefilter_stop(table_regex_prefilter(tables[i]));
    }
}

static bool any_daemon_requires_auth(const struct config *config)
{
    bool requires = false;

    for (size_t i = 0; i < config->daemon_count; i++) {
        requires = requires || config->daemons[i].require_auth;
    }
    return requires;
}

static bool lists_quarantine(const struct config_dns *dns)
{
    bool quarantines = dns->score_threshold > 0 && dns->score_action == DNS_ACTION_QUARANTINE;

    for (size_t i = 0; i < dns->list_count; i++) {
        quarantines = quarantines || dns->lists[i].action == DNS_ACTION_QUARANTINE;
    }
    return quarantines;
}

static bool lists_ask_for_helo(const struct config_dns *dns)
{
    bool asks = false;

    for (size_t i = 0; i < dns->list_count; i++) {
        asks |= (dns->lists[i].lookups & DNS_LOOKUP_HELO) != 0;
    }
    return asks;
}

/* Who may relay may do so by a certificate. */
static bool lists_spare_relaying(const struct config_dns *dns)
{
    bool spare = false;

    for (size_t i = 0; i < dns->list_count; i++) {
        spare |= (dns->lists[i].exempt & DNS_EXEMPT_RELAY) != 0;
    }
    return spare;
}

struct ruleset_needs ruleset_needs(const struct ruleset *ruleset)
{
    const struct config *config = ruleset_config(ruleset);
    const struct regex_patterns *regex = ruleset_regex(ruleset);
    bool relaying = config_controls_relaying(config);
    bool delayed = config_has_anywhere(config, FEATURE_DELAY_CHECKS);

    struct ruleset_needs needs = {
        .ask_client = config->dns.list_count > 0 ||
                      config_has_anywhere(config, FEATURE_REQUIRE_RDNS),
        .ask_helo = config->dns.helo_must_resolve || lists_ask_for_helo(&config->dns),
        .client_resolve = true, /* whether the client's name counts at all */
        /* Beside its own feature it tells a forged name from none, on an MTA without {client_resolve}. */
        .client_ptr = relaying || config_has_anywhere(config, FEATURE_USE_CLIENT_PTR) ||
                      config_has_anywhere(config, FEATURE_REQUIRE_RDNS),
        .daemon_addr = true, /* the own literal is a local domain */
        .login = relaying || any_daemon_requires_auth(config) ||
                 config_has_anywhere(config, FEATURE_BLOCK_BAD_HELO) ||
                 (delayed && config->trust_auth_mech.count > 0) || regex->client != 0 ||
                 config->dns.list_count > 0 || config->dns.helo_refuse_own ||
                 config->dns.helo_must_resolve,
        .certificate = relaying || delayed || (regex->client & CLIENT_RELAY) != 0 ||
                       lists_spare_relaying(&config->dns),
        .mailer = relaying && config->local_mailers.count > 0,
        .quarantine = regex->quarantines || lists_quarantine(&config->dns) ||
                      *config->access != '\0' || *config->spammers != '\0',
        .drop_recipients = regex->drops || config_has_anywhere(config, FEATURE_COMPAT_CHECK),
        .edit_headers = regex->edits,
        .add_recipients = regex->adds_recipients,
    };
    header_rules_needs(ruleset_headers(ruleset), &needs);
    return needs;
}
