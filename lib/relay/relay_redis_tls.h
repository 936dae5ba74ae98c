/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_redis_tls - TLS (1.2 and later) to a Redis server whose certificate is verified: its chain and its name.
 *
 * Where postern is built without OpenSSL, relay_redis_tls_none.c takes the place of relay_redis_tls.c and there is no TLS.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_REDIS_TLS_H
#define POSTERN_LIB_RELAY_RELAY_REDIS_TLS_H

#include "lib/base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct relay_redis_tls;

/* Is this postern built with TLS? */
bool relay_redis_tls_is_built(void);

/* Can the certificates of `ca_file` be used, "" being the system's? False: `why` says what is wrong, with the name of the file. */
bool relay_redis_tls_check(const char *ca_file, struct strbuf *why);

/*
 * Greets the server on a socket that does not block, until `deadline_ms` (monotonic clock). `ca_file`: the certificates that are trusted;
 * "": the system's. NULL: `why` says why. The socket stays the caller's.
 */
struct relay_redis_tls *relay_redis_tls_new(int fd, const char *host, const char *ca_file,
                                            int64_t deadline_ms, struct strbuf *why);
void relay_redis_tls_free(struct relay_redis_tls **tls);

/*
 * As recv() and send() on a socket that does not block: -1 with EAGAIN if nothing can be done before the socket has what *events_out (of
 * poll()) says. Bytes may already be there that poll() does not know of: read until EAGAIN.
 */
ssize_t relay_redis_tls_read(struct relay_redis_tls *tls, char *buf, size_t size,
                             short *events_out);
ssize_t relay_redis_tls_write(struct relay_redis_tls *tls, const char *buf, size_t len,
                              short *events_out);

#endif
