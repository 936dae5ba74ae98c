/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * services - what the daemon does beside the milter: the store of who logged in, and the sockets control, popauth, map and
 * policy, all served by one event loop.
 */
#ifndef POSTERN_MILTER_SERVICES_H
#define POSTERN_MILTER_SERVICES_H

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "milter/listener.h"
#include "milter/relay_gate.h"

#include <sys/types.h>

struct config;
struct control;
struct eventloop;
struct policy_server;
struct popauth;
struct relay_store;
struct report;
struct snapshot;
struct socketmap;

enum services_socket {
    SERVICES_CONTROL,
    SERVICES_POPAUTH,
    SERVICES_MAP,
    SERVICES_POLICY,
    SERVICES_SOCKETS,
};

struct services {
    struct logger *logger;
    struct listener listeners[SERVICES_SOCKETS];
    int fds[SERVICES_SOCKETS]; /* until somebody serves them; -1: none */
    struct eventloop *loop;
    struct relay_gate gate;
    struct relay_store *store;
    struct control *control;
    struct popauth *popauth;
    struct socketmap *socketmap;
    struct policy_server *policy_server;
};

/* Storage that lives as long as the process. */
void services_init(struct services *services, struct logger *logger);

/*
 * Makes the sockets, as long as the process may still give them to their groups; `user_group` is that of the user whom it
 * will become. A socket of popauth, map and policy that is a default and cannot be made is a warning.
 */
enum status services_open_sockets(struct services *services, const struct config *config,
                                  gid_t user_group, struct strbuf *why);

/* Opens the store, as the user who will write it, and begins to serve the sockets; sets relay_store of report and of its reload. */
enum status services_start(struct services *services, const struct config *config,
                           struct snapshot *snapshot, struct report *report, struct strbuf *why);

/* Removes the sockets; who is connected to popauth, map and policy is still served. Legal at any time. */
void services_close_sockets(struct services *services);

/* When no message is under way any more: brings what was acknowledged into the store's file, and ends everything. */
void services_stop(struct services *services);

#endif
