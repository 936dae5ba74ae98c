/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/relay_target.h"

#include "ctl/control_client.h"
#include "ctl/relay_daemon.h"
#include "lib/base/log.h"
#include "lib/base/xalloc.h"
#include "lib/policy/config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A daemon that ends has no socket any more, and still has the file; one that starts, the other way round. */
#define TRIES 30
#define TRY_MS 100

struct relay_target {
    const struct ctl *ctl;
    char *socket;              /* of the daemon; "": none */
    struct config *config;     /* NULL: it has errors */
    struct logger *logger;     /* of the store, if it is ours */
    struct relay_store *store; /* NULL: the daemon answers */
};

/* ---- open ---- */

/* Is that the errno of a socket behind which there is no daemon? */
static bool means_nobody(int error)
{
    return error == ENOENT || error == ECONNREFUSED || error == ENOTDIR;
}

/* 1: the daemon answers. 0: there is none. -1: it cannot be asked, and that was said. */
static int look_for_daemon(struct relay_target *target, int *error_out)
{
    *error_out = 0;
    if (*target->socket == '\0') {
        return 0;
    }
    int fd = control_client_connect(target->socket);

    if (fd >= 0) {
        (void)close(fd);
        return 1;
    }
    *error_out = errno;
    if (means_nobody(*error_out)) {
        return 0;
    }
    ctl_complain(target->ctl, "%s: %s", target->socket, strerror(*error_out));
    return -1;
}

static bool open_store(struct relay_target *target, struct strbuf *why)
{
    struct relay_store_options options = config_relay_options(&target->config->relay_store);

    options.logger = target->logger;
    strbuf_reset(why);
    target->store = relay_store_open(&options, why);
    return target->store != NULL;
}

bool relay_target_is_held(const struct strbuf *why)
{
    return strstr(why->data, "another process") != NULL;
}

static void say_held(const struct relay_target *target, int error)
{
    if (*target->socket == '\0') {
        ctl_complain(target->ctl,
                     "%s: another process has it (the daemon?), and control_socket is empty: the "
                     "daemon cannot be asked",
                     target->config->relay_store.file);
    } else {
        ctl_complain(target->ctl,
                     "%s: another process has it (the daemon?), but nobody answers on %s: %s",
                     target->config->relay_store.file, target->socket, strerror(error));
    }
}

static bool attach(struct relay_target *target)
{
    struct strbuf why;
    int error;
    int found = look_for_daemon(target, &error);

    if (found != 0 || target->config == NULL) {
        return found > 0;
    }
    strbuf_init(&why);
    for (int try = 0;
         try < TRIES && found == 0 && !open_store(target, &why) && relay_target_is_held(&why);
         try++) {
        (void)poll(NULL, 0, TRY_MS);
        found = look_for_daemon(target, &error);
    }
    if (found == 0 && target->store == NULL) {
        if (relay_target_is_held(&why)) {
            say_held(target, error);
        } else {
            ctl_complain(target->ctl, "%s", why.data);
        }
    }
    strbuf_fini(&why);
    return found > 0 || target->store != NULL;
}

struct relay_target *relay_target_open(const struct ctl *ctl)
{
    struct relay_target *target = xcalloc(1, sizeof(*target));
    struct diag diag;

    target->ctl = ctl;
    target->socket = control_client_socket(ctl);
    /* With errors the daemon that runs can still be asked; without one they must be known. */
    diag_init(&diag, NULL, NULL);
    target->config = config_load(ctl->config_path, &diag);
    target->logger = log_new(LOG_TARGET_STDERR, "posternctl", "mail", LOG_LEVEL_WARNING);
    if (!attach(target)) {
        if (target->config == NULL) {
            diag_init(&diag, diag_to_stream, stderr);
            target->config = config_load(ctl->config_path, &diag);
        }
        relay_target_close(&target);
    }
    return target;
}

void relay_target_close(struct relay_target **target)
{
    if (*target == NULL) {
        return;
    }
    relay_store_close(&(*target)->store);
    log_free(&(*target)->logger);
    config_free(&(*target)->config);
    free((*target)->socket);
    free(*target);
    *target = NULL;
}

/* ---- one of the two ---- */

const struct relay_store *relay_target_store(const struct relay_target *target)
{
    return target->store;
}

const struct config_relay_store *relay_target_config(const struct relay_target *target)
{
    return &target->config->relay_store;
}

json_t *relay_target_ask(const struct relay_target *target, const char *request)
{
    return control_client_ask_at(target->ctl, target->socket, request, -1);
}

/* ---- either ---- */

/* The walk through the store has ended early. */
static void say_unread(const struct relay_target *target, struct strbuf *why)
{
    struct relay_store_stats stats;

    relay_store_stats(target->store, &stats);
    strbuf_append(why, stats.failure[0] != '\0' ? stats.failure : "the store cannot be read");
}

enum status relay_target_collect(struct relay_target *target, struct relay_list *list,
                                 struct strbuf *why)
{
    if (target->store == NULL) {
        return relay_daemon_walk(target->ctl, target->socket, list, why);
    }
    if (!relay_list_collect(list, target->store)) {
        say_unread(target, why);
        return STATUS_TEMPFAIL;
    }
    return STATUS_OK;
}

enum status relay_target_check(struct relay_target *target, const struct netaddr *client,
                               struct relay_found *found_out, size_t *sessions_out,
                               struct strbuf *why)
{
    *sessions_out = 0;
    if (target->store == NULL) {
        return relay_daemon_check(target->ctl, target->socket, client, found_out, sessions_out,
                                  why);
    }
    enum status status = relay_store_find(target->store, client, time(NULL), found_out);

    if (status == STATUS_NOTFOUND) {
        relay_store_explain(target->store, client, why);
    } else if (status != STATUS_OK) {
        strbuf_append(why, "the store cannot be asked");
    }
    return status;
}

enum status relay_target_change(struct relay_target *target, struct relay_change *change,
                                struct strbuf *why, size_t *count_out)
{
    if (target->store == NULL) {
        return relay_daemon_change(target->ctl, target->socket, change, why, count_out);
    }
    return relay_store_apply(target->store, change, why, count_out);
}

enum status relay_target_load(struct relay_target *target, struct relay_list *list,
                              struct strbuf *why, size_t *count_out)
{
    if (target->store == NULL) {
        return relay_daemon_load(target->ctl, target->socket, list, why, count_out);
    }
    if (!relay_list_keep(list, target->store)) {
        say_unread(target, why);
        return STATUS_TEMPFAIL;
    }
    struct relay_change change = {
        .kind = RELAY_REPLACE,
        .entry = {.user = "", .service = ""},
        .entries = list->entries,
        .entry_count = list->count,
    };

    return relay_store_apply(target->store, &change, why, count_out);
}
