/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay_local - the store of one host: all entries in memory, their changes in a journal, and from time to time all of them in a
 * GDBM file.
 */
#ifndef POSTERN_LIB_RELAY_RELAY_LOCAL_H
#define POSTERN_LIB_RELAY_RELAY_LOCAL_H

#include "lib/relay/relay_store.h"

/* As relay_store_open() and relay_store_read(). */
struct relay_store *relay_local_open(const struct relay_store_options *options, struct strbuf *why);
struct relay_store *relay_local_read(const struct relay_store_options *options, struct strbuf *why);

#endif
