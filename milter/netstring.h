/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netstring - `LENGTH:BYTES,` as socketmap has it (https://cr.yp.to/proto/netstrings.txt).
 *
 * No I/O and no memory of its own, safe for threads.
 */
#ifndef POSTERN_MILTER_NETSTRING_H
#define POSTERN_MILTER_NETSTRING_H

#include "lib/base/strbuf.h"

#include <stddef.h>

/* The most that may stand around the content: nine digits, ':' and ','. */
#define NETSTRING_OVERHEAD 11u

enum netstring_result {
    NETSTRING_WHOLE,
    NETSTRING_PART, /* it goes on: read again from its beginning when there is more */
    NETSTRING_BAD,  /* none, or its content is longer than `max` */
};

/*
 * Reads the netstring that `data` begins with. NETSTRING_WHOLE: *content_out points to its *content_len_out bytes inside of
 * `data`, *used_out is the length of all of it. What can never become a netstring is BAD as soon as it can be seen: at most `max` +
 * NETSTRING_OVERHEAD bytes are PART.
 */
enum netstring_result netstring_read(const char *data, size_t len, size_t max,
                                     const char **content_out, size_t *content_len_out,
                                     size_t *used_out);

void netstring_append(struct strbuf *out, const char *content, size_t len);

#endif
