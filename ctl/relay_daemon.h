/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_daemon - the addresses that may relay, asked of the daemon on its control socket.
 *
 * All functions: STATUS_OK, or `why` has a text for people. With STATUS_TEMPFAIL it is empty if the daemon does not answer, which was said
 * on standard error. `socket` is that of control_client_socket().
 */
#ifndef POSTERN_CTL_RELAY_DAEMON_H
#define POSTERN_CTL_RELAY_DAEMON_H

#include "ctl/ctl.h"

#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/relay/relay_list.h"
#include "lib/relay/relay_merge.h"
#include "lib/relay/relay_store.h"

/* Adds all entries to the list, page by page. */
enum status relay_daemon_walk(const struct ctl *ctl, const char *socket, struct relay_list *list,
                              struct strbuf *why);

/* May this client relay now? STATUS_NOTFOUND: no. *sessions_out: how many are open that its entry belongs to; it may be NULL. */
enum status relay_daemon_check(const struct ctl *ctl, const char *socket,
                               const struct netaddr *client, struct relay_found *found_out,
                               size_t *sessions_out, struct strbuf *why);

/* RELAY_ADD, RELAY_REMOVE or RELAY_EXPIRE. */
enum status relay_daemon_change(const struct ctl *ctl, const char *socket,
                                const struct relay_change *change, struct strbuf *why,
                                size_t *count_out);

/* Hands over the list as a text that replaces all entries. */
enum status relay_daemon_load(const struct ctl *ctl, const char *socket,
                              const struct relay_list *list, struct strbuf *why, size_t *count_out);

/* Hands over the list as a text that is merged into the entries, as relay_merge() says it. */
enum status relay_daemon_merge(const struct ctl *ctl, const char *socket,
                               const struct relay_list *list, struct relay_merged *merged_out,
                               struct strbuf *why);

#endif
