/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * popauth_log - the lines in the log about what popauth is told; what a flood would write is counted instead.
 */
#ifndef POSTERN_MILTER_POPAUTH_LOG_H
#define POSTERN_MILTER_POPAUTH_LOG_H

#include "lib/base/log.h"
#include "lib/relay/relay_store.h"
#include "milter/eventloop.h"
#include "milter/popauth_line.h"
#include "milter/server.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define POPAUTH_LINES_A_SECOND 50u /* in the log; further ones are counted */

struct popauth_log {
    struct eventloop *loop;
    struct logger *logger;
    struct eventloop_timer second; /* set while lines are counted */

    pthread_mutex_t lock; /* for what follows */
    unsigned lines;       /* logged in this second */
    unsigned long withheld;
};

/* In the caller's storage; what is given must outlive it. */
void popauth_log_init(struct popauth_log *log, struct eventloop *loop, struct logger *logger);
void popauth_log_fini(struct popauth_log *log);

/* In the loop's thread: something is about to happen; and no more will. */
void popauth_log_wake(struct popauth_log *log);
void popauth_log_finish(struct popauth_log *log);

/* For any thread: a line that was not understood; and one that was obeyed (`why` is "") or could not be. */
void popauth_log_refused(struct popauth_log *log, const struct server_peer *peer, const char *line,
                         size_t len, const char *why);
void popauth_log_done(struct popauth_log *log, const struct popauth_line *line,
                      const struct server_peer *peer, const char *why);

/* For any thread: one that cannot be obeyed now, and will be tried again. */
void popauth_log_kept(struct popauth_log *log, const struct popauth_line *line,
                      const struct server_peer *peer, const char *why);

/*
 * The user of this login has come from too many addresses (relay_change.is_excess), and so many of its entries were removed. Never
 * withheld: it is said once for each new address, and may be all that shows a stolen password.
 */
void popauth_log_excess(struct popauth_log *log, const struct relay_change *change, bool granted,
                        size_t removed);

#endif
