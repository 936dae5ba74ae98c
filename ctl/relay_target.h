/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_target - the addresses that may relay, wherever they are to be had: from the daemon that runs, or from their file if none does.
 *
 * The file is held while it is open: a daemon that starts at that moment waits for it. Owner and mode of the file stay. `why` is
 * as relay_daemon.h has it.
 */
#ifndef POSTERN_CTL_RELAY_TARGET_H
#define POSTERN_CTL_RELAY_TARGET_H

#include "ctl/ctl.h"

#include "lib/base/status.h"
#include "lib/base/strbuf.h"
#include "lib/relay/relay_list.h"
#include "lib/relay/relay_store.h"

#include <stdbool.h>

struct relay_target;
struct config_relay_store;

/* Says this text of relay_store_open() that another process has the file? */
bool relay_target_is_held(const struct strbuf *why);

/* NULL: neither answers, and that was said. `ctl` must outlive it. */
struct relay_target *relay_target_open(const struct ctl *ctl);
void relay_target_close(struct relay_target **target);

/*
 * Where the entries are if no daemon has them: the store, NULL if one does, and the configuration by which it was opened. Both are the
 * target's.
 */
const struct relay_store *relay_target_store(const struct relay_target *target);
const struct config_relay_store *relay_target_config(const struct relay_target *target);

/* The daemon's answer to a request; NULL: there is none, which was said. The caller releases it. For targets without a store. */
json_t *relay_target_ask(const struct relay_target *target, const char *request);

/* Adds all entries to the list. */
enum status relay_target_collect(struct relay_target *target, struct relay_list *list,
                                 struct strbuf *why);

/*
 * May this client relay now? STATUS_NOTFOUND: no. Other than STATUS_OK: `why` has a text. *sessions_out: how many are open that its entry
 * belongs to; 0 without a daemon.
 */
enum status relay_target_check(struct relay_target *target, const struct netaddr *client,
                               struct relay_found *found_out, size_t *sessions_out,
                               struct strbuf *why);

/* Makes one change of the kinds RELAY_ADD, RELAY_REMOVE and RELAY_EXPIRE; `count_out` as relay_store.h says it. */
enum status relay_target_change(struct relay_target *target, struct relay_change *change,
                                struct strbuf *why, size_t *count_out);

/* Replaces all entries by those of the list, as a load of its text does. */
enum status relay_target_load(struct relay_target *target, struct relay_list *list,
                              struct strbuf *why, size_t *count_out);

#endif
