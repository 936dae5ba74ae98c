/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_fold - brings the journal's changes into a new snapshot, in a thread of its own.
 *
 * Changes go on meanwhile, in a new journal. All functions are for one thread: the store's.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_FOLD_H
#define POSTERN_LIB_RELAY_RELAY_FOLD_H

#include "lib/relay/relay_files.h"
#include "lib/relay/relay_index.h"

#include <stdbool.h>
#include <stdint.h>

struct relay_fold;

/* `wake` is called, by the fold's thread, when a snapshot is finished. Files and index must live longer. */
struct relay_fold *relay_fold_new(const struct relay_files *files, const struct relay_index *index,
                                  void (*wake)(void *ctx), void *ctx);

/* Gives up a snapshot that is being written. */
void relay_fold_free(struct relay_fold **fold);

/*
 * Begins a snapshot, which makes the old journal superfluous: it is removed then. `aside`: what the present file is to be kept as, or
 * NULL. False: there is no thread to be had.
 */
bool relay_fold_start(struct relay_fold *fold, const char *aside);

enum relay_fold_state { RELAY_FOLD_IDLE, RELAY_FOLD_RUNNING, RELAY_FOLD_DONE, RELAY_FOLD_FAILED };

/* How far is it? DONE (*bytes_out: size of the file) and FAILED (`why` says why) are told once. */
enum relay_fold_state relay_fold_poll(struct relay_fold *fold, uint64_t *bytes_out,
                                      struct strbuf *why);

/* The same work at once, while no other is done. */
bool relay_fold_now(struct relay_fold *fold, const char *aside, uint64_t *bytes_out,
                    struct strbuf *why);

/* Gives up a snapshot that is being written; it is IDLE then. True: it was done already. */
bool relay_fold_abandon(struct relay_fold *fold);

#endif
