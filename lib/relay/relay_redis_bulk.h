/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_bulk - what concerns many entries of a Redis server: in pieces, so that the server answers others meanwhile.
 *
 * Waits for the server; for the store's thread. STATUS_TEMPFAIL: `why` says why, and a part may have been done.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_BULK_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_BULK_H

#include "lib/relay/relay_redis_question.h"
#include "lib/relay/relay_store.h"

#include <stddef.h>
#include <stdint.h>

struct relay_redis_bulk {
    const struct relay_redis_asked *asked;
    int64_t window; /* in seconds; 0: none */
    int64_t now;
};

/* Puts sound entries in the place of all there are: whoever asks meanwhile sees all old or all new ones. */
enum status relay_redis_bulk_replace(const struct relay_redis_bulk *bulk,
                                     const struct relay_entry *entries, size_t count,
                                     struct strbuf *why);

/* Removes all entries at once. */
enum status relay_redis_bulk_remove_all(const struct relay_redis_bulk *bulk, size_t *removed_out,
                                        struct strbuf *why);

/* Removes the entries whose date is not after `until`. */
enum status relay_redis_bulk_expire(const struct relay_redis_bulk *bulk, int64_t until,
                                    size_t *removed_out, struct strbuf *why);

/* Removes the entries of a user (lower-case and encoded, as in relay_redis_scripts.h) for whom RELAY_REDIS_LOGIN has asked for it. */
enum status relay_redis_bulk_disown(const struct relay_redis_bulk *bulk, const char *user,
                                    size_t *removed_out, struct strbuf *why);

/* Throws out of the index what is beyond the window, and removes generations that were left behind. */
enum status relay_redis_bulk_sweep(const struct relay_redis_bulk *bulk, size_t *expired_out,
                                   struct strbuf *why);

/* Writes something, to learn whether changes are taken. */
enum status relay_redis_bulk_probe(const struct relay_redis_bulk *bulk, struct strbuf *why);

/* Sets the expiry of some entries as the window is now. *cursor begins as "0" and is "0" again at the end. */
#define RELAY_REDIS_CURSOR_SIZE 24
enum status relay_redis_bulk_renew(const struct relay_redis_bulk *bulk,
                                   char cursor[RELAY_REDIS_CURSOR_SIZE], struct strbuf *why);

#endif
