/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/reload.h"
#include "lib/dns/resolver.h"
#include "lib/policy/dns_lists.h"
#include "lib/policy/dns_options.h"
#include "lib/policy/ruleset.h"
#include "lib/relay/relay_store.h"
#include "milter/popauth.h"

#include <stdio.h>
#include <string.h>

/* ---- items: to the log, and to who asked ---- */

struct two_sinks {
    struct logger *logger;
    struct diag *asker;
};

void reload_log_item(void *ctx, const struct diag_item *item)
{
    struct logger *logger = ctx;
    bool error = item->level == DIAG_ERROR;
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "configuration");
    if (item->line > 0) {
        char place[512];

        (void)snprintf(place, sizeof(place), "%s:%u", item->file, item->line);
        log_field(&line, "file", place);
    } else {
        log_field(&line, "file", item->file);
    }
    log_field(&line, error ? "error" : "warning", item->text);
    log_field(&line, "hint", item->hint);
    log_line(logger, error ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

static void pass_on(void *ctx, const struct diag_item *item)
{
    struct two_sinks *both = ctx;

    reload_log_item(both->logger, item);
    if (both->asker != NULL) {
        diag_report(both->asker, item->level, item->file, item->line, item->hint, "%s", item->text);
    }
}

/* ---- keys that count at start only ---- */

static void compare(struct diag *diag, const struct config *config, const char *key,
                    const char *before, const char *now)
{
    if (strcmp(before, now) != 0) {
        diag_report(diag, DIAG_WARNING, config->path, 0, "restart postern",
                    "%s is now \"%s\", but the daemon runs with \"%s\" until it is restarted", key,
                    now, before);
    }
}

/* Of the store that is open. */
static void compare_stores(struct diag *diag, const struct config *config,
                           const struct config_relay_store *before,
                           const struct config_relay_store *now)
{
    static const char *const backends[] = {
        [RELAY_BACKEND_GDBM] = "gdbm",
        [RELAY_BACKEND_REDIS] = "redis",
    };

    compare(diag, config, "relay_store backend", backends[before->backend], backends[now->backend]);
    if (before->backend == RELAY_BACKEND_GDBM) {
        compare(diag, config, "relay_store file", before->file, now->file);
        return;
    }
    compare(diag, config, "relay_store redis_url", before->redis_url, now->redis_url);
    compare(diag, config, "relay_store redis_password_file", before->redis_password_file,
            now->redis_password_file);
    compare(diag, config, "relay_store redis_ca_file", before->redis_ca_file, now->redis_ca_file);
    compare(diag, config, "relay_store redis_key_prefix", before->redis_key_prefix,
            now->redis_key_prefix);
    if (before->timeout_ms != now->timeout_ms) {
        diag_report(
            diag, DIAG_WARNING, config->path, 0, "restart postern",
            "relay_store timeout_ms is now %u, but the daemon runs with %u until it is restarted",
            now->timeout_ms, before->timeout_ms);
    }
}

static void report_fixed_keys(struct diag *diag, const struct config *before,
                              const struct config *now)
{
    compare(diag, now, "listen", before->listen, now->listen);
    compare(diag, now, "listen_group", before->listen_group, now->listen_group);
    compare(diag, now, "user", before->user, now->user);
    compare(diag, now, "pid_file", before->pid_file, now->pid_file);
    compare(diag, now, "control_socket", before->control_socket, now->control_socket);
    compare(diag, now, "popauth_socket", before->popauth_socket.path, now->popauth_socket.path);
    compare(diag, now, "popauth_group", before->popauth_group, now->popauth_group);
    compare(diag, now, "map_socket", before->map_socket.path, now->map_socket.path);
    compare(diag, now, "policy_socket", before->policy_socket.path, now->policy_socket.path);
    compare_stores(diag, now, &before->relay_store, &now->relay_store);
    if (before->listen_mode != now->listen_mode) {
        diag_report(
            diag, DIAG_WARNING, now->path, 0, "restart postern",
            "listen_mode is now %04o, but the socket has %04o until the daemon is restarted",
            now->listen_mode, before->listen_mode);
    }
}

/* ---- reload ---- */

void reload_init(struct reload *reload, const struct config *started, struct snapshot *snapshot,
                 struct resolver *resolver, struct logger *logger, struct stats *stats)
{
    (void)pthread_mutex_init(&reload->lock, NULL);
    reload->started = started;
    reload->snapshot = snapshot;
    reload->logger = logger;
    reload->stats = stats;
    reload->resolver = resolver;
    reload->loaded_at = time(NULL);
}

void reload_fini(struct reload *reload)
{
    (void)pthread_mutex_destroy(&reload->lock);
}

/* Servers that cannot be used leave the old ones in place: mail goes on. */
static void configure_resolver(struct reload *reload, const struct config *config,
                               struct diag *diag)
{
    struct resolver_options options = dns_options(&config->dns);
    struct strbuf why;

    strbuf_init(&why);
    if (resolver_configure(reload->resolver, &options, &why) != STATUS_OK) {
        diag_report(diag, DIAG_WARNING, config->path, 0, "the DNS servers stay as they were", "%s",
                    why.data);
    }
    strbuf_fini(&why);
}

/* Lists that are new are probed before sessions ask them; the others keep what is known of them. */
static void take_over_lists(struct reload *reload, const struct ruleset *ruleset)
{
    struct dns_lists *lists = ruleset_dns_lists(ruleset);
    struct ruleset *current = snapshot_get(reload->snapshot);

    dns_lists_adopt(lists, ruleset_dns_lists(current));
    ruleset_unref(&current);
    dns_lists_probe(lists, reload->resolver, reload->logger,
                    dns_now() + (int64_t)ruleset_config(ruleset)->dns.timeout_ms * 1000000);
}

static void put_in_force(struct reload *reload, struct ruleset *ruleset, struct diag *diag)
{
    const struct config *config = ruleset_config(ruleset);
    log_configure(reload->logger, config->log_facility, config->log_level);
    configure_resolver(reload, config, diag);
    take_over_lists(reload, ruleset);
    if (reload->popauth != NULL) {
        const struct relay_sessions_terms terms = config_relay_sessions(&config->relay_store);

        popauth_configure(reload->popauth, &terms);
    }
    if (reload->relay_store != NULL) {
        relay_store_configure(reload->relay_store, &config->relay_store.terms);
    }
    ruleset_prepare(ruleset);
    snapshot_swap(reload->snapshot, ruleset);
    reload->loaded_at = time(NULL);
}

bool reload_run(struct reload *reload, struct diag *asker)
{
    struct two_sinks both = {reload->logger, asker};
    struct diag diag;

    (void)pthread_mutex_lock(&reload->lock);
    diag_init(&diag, pass_on, &both);
    struct ruleset *ruleset = ruleset_load(reload->started->path, &diag);

    if (ruleset == NULL) {
        stats_add(&reload->stats->reloads_refused);
        log_printf(reload->logger, LOG_LEVEL_ERROR,
                   "event=reload result=refused errors=%zu warnings=%zu", diag.errors,
                   diag.warnings);
    } else {
        report_fixed_keys(&diag, reload->started, ruleset_config(ruleset));
        put_in_force(reload, ruleset, &diag);
        stats_add(&reload->stats->reloads);
        log_printf(reload->logger, LOG_LEVEL_INFO, "event=reload result=done warnings=%zu",
                   diag.warnings);
    }
    (void)pthread_mutex_unlock(&reload->lock);
    return ruleset != NULL;
}

void reload_refresh(struct reload *reload)
{
    struct diag diag;

    (void)pthread_mutex_lock(&reload->lock);
    diag_init(&diag, reload_log_item, reload->logger);
    struct ruleset *current = snapshot_get(reload->snapshot);
    struct ruleset *fresh = ruleset_refresh(current, &diag);

    ruleset_unref(&current);
    if (fresh != NULL) {
        snapshot_swap(reload->snapshot, fresh);
        reload->loaded_at = time(NULL);
        stats_add(&reload->stats->map_changes);
        log_printf(reload->logger, LOG_LEVEL_INFO, "event=maps result=%s",
                   diag.warnings + diag.errors > 0 ? "changed-with-warnings" : "changed");
    }
    (void)pthread_mutex_unlock(&reload->lock);
}

void reload_probe_lists(struct reload *reload)
{
    (void)pthread_mutex_lock(&reload->lock);
    struct ruleset *current = snapshot_get(reload->snapshot);

    dns_lists_tick(ruleset_dns_lists(current), reload->resolver, reload->logger, dns_now());
    ruleset_unref(&current);
    (void)pthread_mutex_unlock(&reload->lock);
}

time_t reload_time(struct reload *reload)
{
    (void)pthread_mutex_lock(&reload->lock);
    time_t loaded_at = reload->loaded_at;

    (void)pthread_mutex_unlock(&reload->lock);
    return loaded_at;
}
