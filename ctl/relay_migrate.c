/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_migrate.h"

#include "ctl/control_client.h"
#include "ctl/relay_daemon.h"
#include "ctl/relay_print.h"
#include "ctl/relay_target.h"
#include "lib/policy/config.h"
#include "lib/relay/relay_merge.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct migration {
    struct ctl *ctl;
    const struct config *config;
    const char *from;
    const char *to;
    struct logger *logger;
    struct relay_list list; /* what is to be copied */
    size_t expired;         /* what is not */
    struct relay_merged merged;
    struct strbuf why;
};

static bool read_backend(const char *word, enum relay_backend *backend_out)
{
    *backend_out = strcmp(word, "redis") == 0 ? RELAY_BACKEND_REDIS : RELAY_BACKEND_GDBM;
    return strcmp(word, "redis") == 0 || strcmp(word, "gdbm") == 0;
}

static struct relay_store_options options_of(const struct migration *migration, const char *backend)
{
    struct relay_store_options options = config_relay_options(&migration->config->relay_store);

    (void)read_backend(backend, &options.backend);
    options.logger = migration->logger;
    return options;
}

/* ---- from ---- */

static void visit(void *ctx, const struct relay_entry *entry)
{
    struct migration *migration = ctx;

    if (relay_entry_permits(entry, time(NULL),
                            migration->config->relay_store.terms.window_minutes)) {
        (void)relay_list_add(&migration->list, entry);
    } else {
        migration->expired++;
    }
}

static enum status read_source(struct migration *migration)
{
    struct relay_store_options options = options_of(migration, migration->from);
    struct relay_store *store = relay_store_read(&options, &migration->why);
    struct relay_store_stats stats;
    size_t cursor = 0;

    if (store == NULL) {
        return STATUS_TEMPFAIL;
    }
    while (relay_store_walk(store, &cursor, visit, migration)) {
    }
    relay_store_stats(store, &stats);
    if (cursor == RELAY_WALK_FAILED) {
        strbuf_append(&migration->why,
                      stats.failure[0] != '\0' ? stats.failure : "it cannot be read to its end");
    }
    relay_store_close(&store);
    return cursor == RELAY_WALK_FAILED ? STATUS_TEMPFAIL : STATUS_OK;
}

/* ---- to ---- */

/* Is it the file of the target that the daemon has? */
static bool daemon_has_it(const struct migration *migration)
{
    const char *socket = migration->config->control_socket;

    if (*socket == '\0') {
        return false;
    }
    int fd = control_client_connect(socket);

    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    json_t *status = control_client_ask_at(migration->ctl, socket, "status", -1);
    const json_t *store = json_object_get(status, "relay_store");
    bool has = strcmp(control_client_text(store, "backend"), "gdbm") == 0 &&
               strcmp(control_client_text(store, "file"), migration->config->relay_store.file) == 0;

    json_decref(status);
    return has;
}

static enum status write_target(struct migration *migration)
{
    struct relay_store_options options = options_of(migration, migration->to);
    struct relay_store *store = relay_store_open(&options, &migration->why);
    enum status status = STATUS_TEMPFAIL;

    if (store != NULL) {
        status = relay_merge(store, &migration->list, &migration->merged, &migration->why);
        relay_store_close(&store);
    } else if (relay_target_is_held(&migration->why) && daemon_has_it(migration)) {
        strbuf_reset(&migration->why);
        status = relay_daemon_merge(migration->ctl, migration->config->control_socket,
                                    &migration->list, &migration->merged, &migration->why);
    } else if (relay_target_is_held(&migration->why)) {
        strbuf_append(
            &migration->why,
            ": it is no daemon that answers on control_socket; end it, and migrate again");
    }
    return status;
}

/* ---- what is told ---- */

static void print(const struct migration *migration)
{
    const struct relay_merged *merged = &migration->merged;

    printf("%zu of %zu %s copied from %s to %s", merged->taken, migration->list.count,
           migration->list.count == 1 ? "entry" : "entries", migration->from, migration->to);
    if (merged->present > 0) {
        printf(", %zu %s there already and as young", merged->present,
               merged->present == 1 ? "was" : "were");
    }
    if (merged->refused > 0) {
        printf(", %zu refused", merged->refused);
    }
    if (migration->expired > 0) {
        printf("; %zu expired, left behind", migration->expired);
    }
    printf("\n");
}

/* What was copied before the target failed is told, too. */
static int tell(const struct migration *migration, enum status status, bool was_read)
{
    const struct relay_merged *merged = &migration->merged;
    const char *why = migration->why.len > 0 ? migration->why.data : RELAY_PRINT_NO_ANSWER;
    const char *failed = was_read ? migration->to : migration->from;
    int code = relay_print_code(status);

    if (!migration->ctl->json) {
        if (status != STATUS_OK) {
            ctl_complain(migration->ctl, "%s: %s", failed, why);
        }
        if (was_read) {
            print(migration);
        }
        return code;
    }
    json_t *object = json_pack("{ss, ss, ss}", "result",
                               status == STATUS_OK        ? "ok"
                               : status == STATUS_INVALID ? "invalid"
                                                          : "tempfail",
                               "from", migration->from, "to", migration->to);

    if (was_read) {
        json_object_set_new(object, "copied", json_integer((json_int_t)merged->taken));
        json_object_set_new(object, "present", json_integer((json_int_t)merged->present));
        json_object_set_new(object, "refused", json_integer((json_int_t)merged->refused));
        json_object_set_new(object, "expired", json_integer((json_int_t)migration->expired));
    }
    if (status != STATUS_OK) {
        json_object_set_new(object, "failed", json_string(failed));
        json_object_set_new(object, "reason", ctl_json_text(why));
    }
    return ctl_print_json(migration->ctl, object, NULL, code);
}

static int migrate(struct migration *migration)
{
    enum status status = read_source(migration);

    if (status != STATUS_OK) {
        return tell(migration, status, false);
    }
    status = write_target(migration);
    return tell(migration, status, true);
}

int relay_migrate_run(struct ctl *ctl, const char *from, const char *to)
{
    struct migration migration = {.ctl = ctl, .from = from, .to = to};
    enum relay_backend backends[2];
    struct diag diag;

    if (!read_backend(from, &backends[0]) || !read_backend(to, &backends[1])) {
        return ctl_usage(ctl, "the back ends are \"gdbm\" and \"redis\"");
    }
    if (backends[0] == backends[1]) {
        return ctl_usage(ctl, "from \"%s\" to \"%s\": name two back ends", from, to);
    }
    diag_init(&diag, diag_to_stream, stderr);
    struct config *config = config_load(ctl->config_path, &diag);

    if (config == NULL) {
        return CTL_TEMPFAIL;
    }
    migration.config = config;
    migration.logger = log_new(LOG_TARGET_STDERR, "posternctl", "mail", LOG_LEVEL_WARNING);
    relay_list_init(&migration.list);
    strbuf_init(&migration.why);
    int code = migrate(&migration);

    strbuf_fini(&migration.why);
    relay_list_fini(&migration.list);
    log_free(&migration.logger);
    config_free(&config);
    return code;
}
