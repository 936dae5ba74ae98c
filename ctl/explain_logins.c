/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/explain_logins.h"

#include "ctl/control_client.h"
#include "ctl/relay_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool daemon_answers(const struct config *config)
{
    if (*config->control_socket == '\0') {
        return false;
    }
    int fd = control_client_connect(config->control_socket);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/* Are there no entries, for want of a file? */
static bool has_no_file(const struct config_relay_store *config)
{
    return config->backend == RELAY_BACKEND_GDBM && access(config->file, F_OK) != 0 &&
           (errno == ENOENT || errno == ENOTDIR);
}

/* A store that cannot be read is said once. */
static void read_store(struct explain_logins *logins)
{
    const struct config_relay_store *config = &logins->config->relay_store;
    const struct relay_store_options options = config_relay_options(config);
    struct strbuf why;

    logins->tried = true;
    if (has_no_file(config)) {
        return;
    }
    strbuf_init(&why);
    logins->store = relay_store_read(&options, &why);
    if (logins->store == NULL) {
        logins->failed = true;
        ctl_complain(logins->ctl, "warning: who logged in cannot be read, and counts as nobody: %s",
                     why.data);
    }
    strbuf_fini(&why);
}

static enum status ask_daemon(struct explain_logins *logins, const struct netaddr *client,
                              struct relay_found *found_out)
{
    struct strbuf why;

    strbuf_init(&why);
    enum status status = relay_daemon_check(logins->ctl, logins->config->control_socket, client,
                                            found_out, NULL, &why);

    strbuf_fini(&why);
    return status;
}

static enum status find(void *ctx, const struct netaddr *client, struct relay_found *found_out)
{
    struct explain_logins *logins = ctx;
    struct relay_found ignored;

    found_out = found_out == NULL ? &ignored : found_out;
    if (logins->pretend != NULL) {
        *found_out = (struct relay_found){.addr = *client, .login_at = time(NULL)};
        (void)snprintf(found_out->user, sizeof(found_out->user), "%s", logins->pretend);
        return STATUS_OK;
    }
    if (!logins->tried && daemon_answers(logins->config)) {
        return ask_daemon(logins, client, found_out);
    }
    if (!logins->tried) {
        read_store(logins);
    }
    if (logins->store == NULL) {
        return logins->failed ? STATUS_TEMPFAIL : STATUS_NOTFOUND;
    }
    return relay_store_find(logins->store, client, time(NULL), found_out);
}

void explain_logins_init(struct explain_logins *logins, const struct ctl *ctl,
                         const struct config *config, const char *pretend)
{
    *logins = (struct explain_logins){
        .lookup = {.find = find, .ctx = logins},
        .ctl = ctl,
        .config = config,
        .pretend = pretend,
    };
}

void explain_logins_fini(struct explain_logins *logins)
{
    relay_store_close(&logins->store);
}
