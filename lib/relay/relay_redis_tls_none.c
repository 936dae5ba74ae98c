/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_tls.h"

#include <errno.h>

bool relay_redis_tls_is_built(void)
{
    return false;
}

bool relay_redis_tls_check(const char *ca_file, struct strbuf *why)
{
    (void)ca_file;
    strbuf_append(why, "this postern was built without TLS");
    return false;
}

struct relay_redis_tls *relay_redis_tls_new(int fd, const char *host, const char *ca_file,
                                            int64_t deadline_ms, struct strbuf *why)
{
    (void)fd;
    (void)host;
    (void)ca_file;
    (void)deadline_ms;
    strbuf_append(why, "this postern was built without TLS");
    return NULL;
}

void relay_redis_tls_free(struct relay_redis_tls **tls)
{
    *tls = NULL;
}

ssize_t relay_redis_tls_read(struct relay_redis_tls *tls, char *buf, size_t size, short *events_out)
{
    (void)tls;
    (void)buf;
    (void)size;
    *events_out = 0;
    errno = EPROTONOSUPPORT;
    return -1;
}

ssize_t relay_redis_tls_write(struct relay_redis_tls *tls, const char *buf, size_t len,
                              short *events_out)
{
    (void)tls;
    (void)buf;
    (void)len;
    *events_out = 0;
    errno = EPROTONOSUPPORT;
    return -1;
}
