/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "milter/services.h"
#include "lib/policy/config.h"
#include "lib/policy/pop_check.h"
#include "lib/relay/relay_store.h"
#include "milter/control.h"
#include "milter/eventloop.h"
#include "milter/policy_server.h"
#include "milter/popauth.h"
#include "milter/privileges.h"
#include "milter/report.h"
#include "milter/socketmap.h"

#include <unistd.h>

#define CONTROL_MODE 0660
#define POPAUTH_MODE 0660

void services_init(struct services *services, struct logger *logger)
{
    *services = (struct services){.logger = logger};
    for (int i = 0; i < SERVICES_SOCKETS; i++) {
        listener_init(&services->listeners[i]);
        services->fds[i] = -1;
    }
    relay_gate_init(&services->gate, logger);
}

/* ---- sockets ---- */

static void warn(struct services *services, const char *text)
{
    struct strbuf line;

    strbuf_init(&line);
    log_field(&line, "event", "start");
    log_field(&line, "warning", text);
    log_line(services->logger, LOG_LEVEL_WARNING, line.data);
    strbuf_fini(&line);
}

/* With its group, or, where an ordinary user may not give it away, with that of the process. */
static enum status open_socket(struct services *services, enum services_socket socket,
                               const char *path, mode_t mode, gid_t group, struct strbuf *why)
{
    struct listener *listener = &services->listeners[socket];
    int *fd = &services->fds[socket];
    enum status status = listener_open(listener, path, mode, group, fd, why);

    if (status != STATUS_OK && group != (gid_t)-1 && geteuid() != 0) {
        struct strbuf again;

        strbuf_init(&again);
        status = listener_open(listener, path, mode, (gid_t)-1, fd, &again);
        if (status == STATUS_OK) {
            warn(services, why->data);
            strbuf_reset(why);
        }
        strbuf_fini(&again);
    }
    return status;
}

static enum status find_group(struct services *services, const char *key, const char *name,
                              gid_t *gid_out, struct strbuf *why)
{
    *gid_out = (gid_t)-1;
    if (*name == '\0' || privileges_find_group(key, name, gid_out, why) == STATUS_OK) {
        return STATUS_OK;
    }
    if (geteuid() == 0) {
        return STATUS_INVALID;
    }
    warn(services, why->data); /* ordinary users may well not have it */
    strbuf_reset(why);
    return STATUS_OK;
}

/* One of those that a mail server can do without. */
static enum status open_optional(struct services *services, enum services_socket socket,
                                 const struct config_socket *config, mode_t mode, const char *key,
                                 const char *group, struct strbuf *why)
{
    gid_t gid;

    if (config->path[0] == '\0') {
        return STATUS_OK;
    }
    if (find_group(services, key, group, &gid, why) == STATUS_OK &&
        open_socket(services, socket, config->path, mode, gid, why) == STATUS_OK) {
        return STATUS_OK;
    }
    if (config->was_set) {
        return STATUS_INVALID;
    }
    strbuf_appendf(why, "; postern goes on without %s", config->path);
    warn(services, why->data);
    strbuf_reset(why);
    return STATUS_OK;
}

enum status services_open_sockets(struct services *services, const struct config *config,
                                  gid_t user_group, struct strbuf *why)
{
    gid_t control_group = geteuid() == 0 ? user_group : (gid_t)-1;

    if (config->control_socket[0] != '\0' &&
        open_socket(services, SERVICES_CONTROL, config->control_socket, CONTROL_MODE, control_group,
                    why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (open_optional(services, SERVICES_POPAUTH, &config->popauth_socket, POPAUTH_MODE,
                      "popauth_group", config->popauth_group, why) != STATUS_OK ||
        open_optional(services, SERVICES_MAP, &config->map_socket, (mode_t)config->listen_mode,
                      "listen_group", config->listen_group, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    return open_optional(services, SERVICES_POLICY, &config->policy_socket,
                         (mode_t)config->listen_mode, "listen_group", config->listen_group, why);
}

/* ---- start ---- */

static enum status open_store(struct services *services, const struct config *config,
                              struct strbuf *why)
{
    struct relay_store_options options = config_relay_options(&config->relay_store);

    options.logger = services->logger;
    options.wait = true;
    services->store = relay_store_open(&options, why);
    relay_gate_set(&services->gate, services->store);
    return services->store != NULL ? STATUS_OK : STATUS_INVALID;
}

/* The descriptor goes to who serves it. */
static int take_fd(struct services *services, enum services_socket socket)
{
    int fd = services->fds[socket];

    services->fds[socket] = -1;
    return fd;
}

static bool has(const struct services *services, enum services_socket socket)
{
    return services->fds[socket] >= 0;
}

static bool start_servers(struct services *services, const struct config *config,
                          struct snapshot *snapshot, struct report *report)
{
    const struct relay_lookup *relayers = &services->gate.lookup;
    const struct relay_sessions_terms terms = config_relay_sessions(&config->relay_store);
    struct eventloop *loop = services->loop;

    if (has(services, SERVICES_POPAUTH)) {
        services->popauth = popauth_start(loop, take_fd(services, SERVICES_POPAUTH),
                                          services->store, &terms, services->logger);
        report->popauth = services->popauth;
        report->reload->popauth = services->popauth; /* before anybody can ask for a reload */
    }
    if (has(services, SERVICES_CONTROL)) {
        services->control = control_start(loop, take_fd(services, SERVICES_CONTROL), report_answer,
                                          report, services->logger);
        if (services->control == NULL) {
            return false;
        }
    }
    if (has(services, SERVICES_MAP)) {
        services->socketmap = socketmap_start(loop, take_fd(services, SERVICES_MAP), snapshot,
                                              relayers, services->logger);
        if (services->socketmap == NULL) {
            return false;
        }
    }
    if (has(services, SERVICES_POLICY)) {
        services->policy_server = policy_server_start(loop, take_fd(services, SERVICES_POLICY),
                                                      snapshot, relayers, services->logger);
        return services->policy_server != NULL;
    }
    return true;
}

enum status services_start(struct services *services, const struct config *config,
                           struct snapshot *snapshot, struct report *report, struct strbuf *why)
{
    if (open_store(services, config, why) != STATUS_OK) {
        return STATUS_INVALID;
    }
    report->relay_store = services->store;
    report->reload->relay_store = services->store;
    if (has(services, SERVICES_MAP) && pop_check_tables_ignore_logins(config)) {
        warn(services, POP_CHECK_TABLES);
    }
    services->loop = eventloop_new();
    if (services->loop == NULL || !eventloop_start(services->loop) ||
        !start_servers(services, config, snapshot, report)) {
        strbuf_append(why, "cannot start the threads of the sockets");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

/* ---- end ---- */

void services_close_sockets(struct services *services)
{
    control_stop(&services->control);
    if (services->popauth != NULL) {
        popauth_close_socket(services->popauth);
    }
    if (services->socketmap != NULL) {
        socketmap_close_socket(services->socketmap);
    }
    if (services->policy_server != NULL) {
        policy_server_close_socket(services->policy_server);
    }
    for (int i = 0; i < SERVICES_SOCKETS; i++) {
        if (services->fds[i] >= 0) {
            (void)close(take_fd(services, (enum services_socket)i));
        }
        listener_close(&services->listeners[i]);
    }
}

void services_stop(struct services *services)
{
    socketmap_stop(&services->socketmap);
    policy_server_stop(&services->policy_server);
    if (services->popauth != NULL) {
        popauth_finish(services->popauth);
    }
    relay_gate_set(&services->gate, NULL);
    relay_store_close(&services->store);
    popauth_stop(&services->popauth); /* with the answers to what the store wrote last */
    eventloop_free(&services->loop);
}
