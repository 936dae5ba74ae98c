/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netwalk - the keys under which a table may hold an address, longest prefix first.
 *
 * Whole octets and groups are always asked for, as Sendmail does; other prefix lengths only if the table has such keys.
 */
#ifndef POSTERN_LIB_TABLE_NETWALK_H
#define POSTERN_LIB_TABLE_NETWALK_H

#include "lib/mail/netaddr.h"
#include "lib/table/table.h"

#include <stdbool.h>

struct netwalk {
    struct netaddr addr;
    const unsigned char
        *lengths; /* the table's other lengths that are still to come, longest first */
    size_t lengths_left;
    int whole; /* the next whole octet or group, in bits; below 0: none */
};

void netwalk_init(struct netwalk *walk, const struct table *table, const struct netaddr *addr);

/* Writes the next key, in lower case. False at the end. */
bool netwalk_next(struct netwalk *walk, char key[NETADDR_TEXT_SIZE]);

#endif
