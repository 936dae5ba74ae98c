/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hash64 - the XXH64 hash: fast, well mixed, the same on every machine. Not for secrets.
 */
#ifndef POSTERN_LIB_TABLE_HASH64_H
#define POSTERN_LIB_TABLE_HASH64_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *data, size_t len, uint64_t seed);

#endif
