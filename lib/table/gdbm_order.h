/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gdbm_order - the order in which a GDBM file is best filled.
 */
#ifndef POSTERN_LIB_TABLE_GDBM_ORDER_H
#define POSTERN_LIB_TABLE_GDBM_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* Results are below this. */
#define GDBM_ORDER_END (UINT32_C(1) << 31)

/*
 * GDBM's own hash of a key, by whose upper bits it picks a bucket. Keys that are stored in this order are written from
 * the first bucket to the last, which takes half the time of any other order. If a later GDBM has another hash, that is all
 * that is lost.
 */
uint32_t gdbm_order(const char *key, size_t len);

#endif
